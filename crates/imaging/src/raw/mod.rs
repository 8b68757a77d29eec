//! Raw photos (DNG, and others that are built like TIFF), shown by the JPEG that the camera put beside the samples of its sensor.
//!
//! It is the one exception from the rule that pictures come from the main pixels: what those show takes a raw developer's taste,
//! and phones cannot show them either. A TIFF that is no raw photo is never shown by what is embedded in it.

mod directory;
mod preview;

pub(crate) use preview::find;
