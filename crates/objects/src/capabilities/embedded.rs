//! What is different when the store is the embedded one.

use super::{Assessment, Capabilities, Verdict};

impl Capabilities {
    /// As [`Capabilities::assess`], for the embedded store: what others leave to rules of the bucket, the server
    /// sees to by itself.
    #[must_use]
    pub fn assess_embedded(&self) -> Vec<Assessment> {
        let mut assessed = self.assess();
        for one in &mut assessed {
            let (found, meaning) = match one.capability {
                "lifecycle: abort" => (
                    "by the janitor",
                    "uploads that are given up are removed after 7 days",
                ),
                "CORS" => (
                    "by the settings",
                    "pages of the origins in store_cors_origins can upload",
                ),
                _ => continue,
            };
            one.found = found.to_owned();
            one.verdict = Verdict::Ok;
            one.meaning = meaning;
            one.what_to_do = None;
        }
        assessed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_store_is_as_it_should_be() {
        let assessed = Capabilities::embedded().assess_embedded();
        assert!(assessed.iter().all(|a| a.verdict == Verdict::Ok));
        let ours = |a: &&Assessment| a.found.starts_with("by the");
        assert_eq!(assessed.iter().filter(ours).count(), 2);
    }
}
