//! A child that keeps a decoded picture for who goes on with it.

use std::sync::Arc;

use safelight_model::preset::{COVER, DISPLAY, LARGE, Preset};
use safelight_service::processing::sandbox::{
    KeptPicture, Pace, RenderReply, Sandbox, SandboxSettings,
};

use crate::sandbox::{file, picture, settings_of, task};

const LATER: [Preset; 2] = [DISPLAY, LARGE];
/// What cannot be decoded: who is given this has the picture already, or fails.
const NO_PICTURE: &[u8] = b"no picture";

fn pool(processes: usize) -> Sandbox {
    let settings = SandboxSettings {
        processes,
        ..settings_of("sandbox::child_serves_all")
    };
    Sandbox::start(settings).unwrap()
}

/// Makes the cover of a file: the picture that is kept.
async fn kept_of(sandbox: &Sandbox, original: &[u8]) -> KeptPicture {
    let first = sandbox.render_first(file(original), task(&[COVER]), &LATER);
    first.await.unwrap().1.unwrap()
}

fn bytes(reply: &RenderReply) -> Vec<&[u8]> {
    let made = reply.renditions.iter();
    made.map(|rendition| rendition.bytes.as_slice()).collect()
}

#[tokio::test]
async fn more_is_made_of_a_picture_that_is_still_decoded() {
    let sandbox = pool(1);
    let original = picture(2600, 1900);
    let alone = sandbox.render(file(&original), task(&LATER)).await.unwrap();
    let first = sandbox.render_first(file(&original), task(&[COVER]), &LATER);
    let (first, kept) = first.await.unwrap();
    assert_eq!(first.renditions.len(), 1);
    assert_eq!((first.width, first.height), (2600, 1900));
    let more = sandbox.render_more(kept.unwrap(), file(NO_PICTURE), task(&LATER));
    let more = more.await.unwrap();
    assert_eq!(bytes(&more), bytes(&alone));
    assert_eq!((more.width, more.height), (2600, 1900));
    // Once: a picture is kept for one task.
    let gone = sandbox.render(file(NO_PICTURE), task(&LATER)).await;
    gone.unwrap_err();
    sandbox.shutdown().await;
}

#[tokio::test]
async fn what_is_kept_makes_way() {
    let sandbox = pool(1);
    let (original, other) = (picture(2600, 1900), picture(900, 700));
    let kept = kept_of(&sandbox, &original).await;
    // Who comes in between gets the only child there may be, and his own picture.
    let between = sandbox.render(file(&other), task(&LATER)).await.unwrap();
    assert_eq!((between.width, between.height), (900, 700));
    let more = sandbox.render_more(kept, file(&original), task(&LATER));
    assert_eq!(more.await.unwrap().width, 2600);

    // Another tenant's as well, who gets a child of his own.
    let kept = kept_of(&sandbox, &original).await;
    let others = sandbox.serving("other", Pace::Brisk, Arc::default());
    others.render(file(&other), task(&LATER)).await.unwrap();
    let more = sandbox.render_more(kept, file(NO_PICTURE), task(&LATER));
    more.await.unwrap_err();
    sandbox.shutdown().await;
}

#[tokio::test]
async fn where_there_is_room_others_leave_it_alone() {
    let sandbox = pool(2);
    let (original, other) = (picture(2600, 1900), picture(900, 700));
    let kept = kept_of(&sandbox, &original).await;
    for _ in 0..3 {
        sandbox.render(file(&other), task(&LATER)).await.unwrap();
    }
    let more = sandbox.render_more(kept, file(NO_PICTURE), task(&LATER));
    assert_eq!(more.await.unwrap().width, 2600);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn what_nobody_comes_for_is_forgotten() {
    let sandbox = pool(1);
    let original = picture(2600, 1900);
    let kept = kept_of(&sandbox, &original).await;
    drop(kept);
    let next = sandbox.render(file(NO_PICTURE), task(&LATER)).await;
    next.unwrap_err();
    // Nor is anything kept of what failed, or where the child is to go for another reason.
    let failed = sandbox.render_first(file(NO_PICTURE), task(&[COVER]), &LATER);
    assert!(failed.await.is_err());
    sandbox.shutdown().await;
    let sandbox = Sandbox::start(SandboxSettings {
        kept_bytes: 0,
        processes: 1,
        ..settings_of("sandbox::child_serves_all")
    });
    let sandbox = sandbox.unwrap();
    let first = sandbox.render_first(file(&original), task(&[COVER]), &LATER);
    assert!(first.await.unwrap().1.is_none());
    sandbox.shutdown().await;
}

/// A HEIC of 48 megapixels takes no more than a photo of twelve.
#[tokio::test]
async fn a_large_one_is_kept_like_others() {
    let sandbox = pool(1);
    let original = include_bytes!("grid_48mp.heic");
    let first = sandbox.render_first(file(original), task(&[COVER]), &LATER);
    let (_, kept) = first.await.unwrap();
    let more = sandbox.render_more(kept.unwrap(), file(NO_PICTURE), task(&LATER));
    assert_eq!(more.await.unwrap().renditions.len(), 2);
    sandbox.shutdown().await;
}
