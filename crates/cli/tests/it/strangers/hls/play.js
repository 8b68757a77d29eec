// Plays a clip in pieces: from its beginning, from its middle, and to its end.
import { Hls } from "hls.js";

const plan = await (await fetch("/plan")).json();
const video = document.createElement("video");
video.muted = true;
document.body.append(video);
let broken;
const player = new Hls();
player.on(Hls.Events.ERROR, (_, { fatal, type, details }) => {
    if (fatal) broken = `${type}: ${details}`;
});

// Until something is so that only playing can bring about.
const until = async (holds) => {
    while (!holds()) {
        if (broken) throw new Error(broken);
        await new Promise((again) => setTimeout(again, 20));
    }
};

await step("it begins", async () => {
    player.loadSource(plan.url);
    player.attachMedia(video);
    await until(() => video.duration > 0);
    check(Math.abs(video.duration - plan.seconds) < 0.5, `it runs for ${video.duration} s`);
    await video.play();
    await until(() => video.currentTime > 0.5);
    check(video.videoWidth === plan.width, `it is ${video.videoWidth} wide`);
});

await step("it goes on from elsewhere", async () => {
    const place = plan.seconds / 2;
    video.currentTime = place;
    await until(() => video.currentTime > place + 0.5 && video.readyState >= 3);
});

await step("it ends", async () => {
    video.currentTime = video.duration - 1;
    await until(() => video.ended);
    const { totalVideoFrames } = video.getVideoPlaybackQuality();
    check(totalVideoFrames > 0, "pictures were shown");
});

await report(true);
