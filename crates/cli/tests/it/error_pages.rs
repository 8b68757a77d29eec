//! Every error code has its page, and there is no page without a code.

use std::collections::BTreeSet;
use std::path::Path;

use safelight_model::codes::Code;

#[test]
fn every_code_has_a_page_and_a_line_in_the_index() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut expected = BTreeSet::from(["README.md".to_owned()]);
    for code in Code::ALL {
        let name = format!("{code}.md");
        let page = std::fs::read_to_string(folder.join(&name)).unwrap();
        let start = format!("# `{code}`\n\n{}.\n", code.title());
        assert!(
            page.starts_with(&start),
            "{name} does not start with {start:?}"
        );
        for heading in [
            "**Seen as:**",
            "## When",
            "## What to do",
            "**Does a retry help?**",
        ] {
            assert!(page.contains(heading), "{name} lacks {heading}");
        }
        let line = format!("| [`{code}`]({name}) | {} |", code.title());
        assert!(index.contains(&line), "the index lacks {line}");
        expected.insert(name);
    }
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected);
}
