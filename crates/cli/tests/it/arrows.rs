//! The arrows of the design: which crate may depend on which, and that the stages of the
//! service meet through three doors only.

mod source_paths;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate of the workspace may depend on inside it, tests aside.
const INSIDE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("api", &["model"]),
    ("catalog", &["model"]),
    ("objects", &["model"]),
    ("imaging", &["model"]),
    ("diskstore", &[]),
    (
        "service",
        &["api", "catalog", "imaging", "model", "objects"],
    ),
    ("client", &["api", "model"]),
    ("testkit", &["model", "imaging"]),
    (
        "cli",
        &[
            "api",
            "catalog",
            "client",
            "diskstore",
            "imaging",
            "model",
            "objects",
            "service",
        ],
    ),
];

/// The benchmarks hold every part against something, so they may see every part.
const UNBOUND: &str = "bench";

/// Libraries that have one home, tests included.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["catalog"]),
    ("rusqlite", &["client"]),
    ("aws-sdk-s3", &["objects"]),
    ("turbojpeg", &["imaging"]),
    ("webp", &["imaging"]),
    ("png", &["imaging"]),
    ("gif", &["imaging"]),
    ("libaom-sys", &["imaging"]),
    ("s3s", &["diskstore"]),
];

/// Tests that use a library outside its home, because they are the other side of the wire.
const VISITING_TESTS: &[(&str, &str)] = &[("aws-sdk-s3", "diskstore")];

const STAGES: &[&str] = &[
    "intake",
    "queue",
    "processing",
    "delivery",
    "governance",
    "retention",
    "insights",
    "library",
];

/// What every stage may use of the others.
const DOORS: &[[&str; 2]] = &[
    ["queue", "enqueue"],
    ["governance", "decide"],
    ["insights", "record"],
];

struct Edge {
    from: String,
    to: String,
    for_tests: bool,
}

fn edges(metadata: &Value) -> Vec<Edge> {
    let inside = |name: &str| name.strip_prefix("safelight-").unwrap_or(name).to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .flat_map(|package| {
            let from = inside(package["name"].as_str().unwrap());
            package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |dependency| Edge {
                    from: from.clone(),
                    to: inside(dependency["name"].as_str().unwrap()),
                    for_tests: dependency["kind"] == "dev",
                })
        })
        .collect()
}

fn forbidden(edges: &[Edge]) -> Vec<String> {
    let names: Vec<&str> = INSIDE.iter().map(|(name, _)| *name).collect();
    let mut found = Vec::new();
    for Edge {
        from,
        to,
        for_tests,
    } in edges
    {
        if from == UNBOUND {
            continue;
        }
        let Some((_, allowed)) = INSIDE.iter().find(|(name, _)| name == from) else {
            found.push(format!("crate {from} is not in the table of arrows"));
            continue;
        };
        if names.contains(&to.as_str()) && !for_tests && !allowed.contains(&to.as_str()) {
            found.push(format!("{from} depends on {to}"));
        }
        if let Some((_, homes)) = HOMES.iter().find(|(library, _)| library == to) {
            let visiting = *for_tests && VISITING_TESTS.contains(&(to.as_str(), from.as_str()));
            if !homes.contains(&from.as_str()) && !visiting {
                found.push(format!("{from} depends on {to}, which lives in {homes:?}"));
            }
        }
    }
    found
}

/// Where a file of `stage` names another stage's inside.
fn trespasses(stage: &str, source: &str) -> Vec<String> {
    source_paths::from_the_root(source)
        .into_iter()
        .filter(|path| match path.first().map(String::as_str) {
            Some("*") => true,
            Some(first) => {
                let door = DOORS
                    .iter()
                    .any(|door| path.len() >= 2 && door[0] == first && door[1] == path[1]);
                STAGES.contains(&first) && first != stage && !door
            }
            None => false,
        })
        .map(|path| format!("crate::{}", path.join("::")))
        .collect()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect()
}

#[test]
fn crates_depend_along_the_arrows_only() {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args([
            "metadata",
            "--offline",
            "--no-deps",
            "--format-version",
            "1",
        ])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let edges = edges(&serde_json::from_slice(&output.stdout).unwrap());
    for (name, _) in INSIDE {
        assert!(
            edges.iter().any(|edge| edge.from == *name),
            "the table names {name}, and the workspace has no such crate"
        );
    }
    assert_eq!(forbidden(&edges), Vec::<String>::new());
}

#[test]
fn a_forbidden_dependency_is_found() {
    let edge = |from: &str, to: &str, for_tests| Edge {
        from: from.into(),
        to: to.into(),
        for_tests,
    };
    for (from, to, for_tests) in [
        ("model", "api", false),
        ("service", "diskstore", false),
        ("client", "service", false),
        ("service", "testkit", false),
        ("service", "sqlx", false),
        ("service", "sqlx", true),
        ("catalog", "rusqlite", false),
        ("diskstore", "aws-sdk-s3", false),
        ("cli", "png", false),
        ("stranger", "serde", false),
    ] {
        assert_eq!(
            forbidden(&[edge(from, to, for_tests)]).len(),
            1,
            "{from} → {to}"
        );
    }
    for (from, to, for_tests) in [
        ("api", "model", false),
        ("service", "testkit", true),
        ("diskstore", "aws-sdk-s3", true),
        ("bench", "aws-sdk-s3", false),
        ("catalog", "sqlx", false),
    ] {
        assert_eq!(
            forbidden(&[edge(from, to, for_tests)]).len(),
            0,
            "{from} → {to}"
        );
    }
}

#[test]
fn stages_meet_through_the_doors_only() {
    let service = workspace().join("crates/service/src");
    let mut found = Vec::new();
    let mut seen = 0;
    for stage in STAGES {
        let (folder, file) = (service.join(stage), service.join(format!("{stage}.rs")));
        let mut files = Vec::new();
        if folder.is_dir() {
            files.extend(rust_files(&folder));
        }
        if file.is_file() {
            files.push(file);
        }
        seen += files.len();
        for path in files {
            let source = std::fs::read_to_string(&path).unwrap();
            for named in trespasses(stage, &source) {
                found.push(format!("{} names {named}", path.display()));
            }
        }
    }
    assert!(seen > 0, "no stage was found in {}", service.display());
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_trespass_is_found() {
    for source in [
        "use crate::intake::complete_upload::Complete;",
        "use crate::{catalog_ext, intake::sign_parts};",
        "use crate::{\n    queue::{enqueue, lease},\n};",
        "use crate::queue;",
        "use crate::*;",
        "fn f() { crate::delivery::grant::sign(); }",
        "use super::super::intake::admit;",
        "use super::retention as r;",
    ] {
        assert_eq!(trespasses("governance", source).len(), 1, "{source}");
    }
    for source in [
        "use crate::queue::enqueue::{enqueue, Work};",
        "use crate::{insights::record, governance::decide, queue::enqueue};",
        "use crate::governance::keys::Key;",
        "use crate::{error::Fault, settings::{self, Settings}};",
        "// crate::intake::admit is not used here",
        "/* crate::intake /* nested */ crate::queue */",
        "const TEXT: &str = \"crate::intake::admit \\\" crate::queue\";",
        "const RAW: &str = r#\"crate::intake \" crate::queue\"#; fn f<'a>(x: &'a str) {}",
        "const QUOTE: char = '\"'; use crate::queue::enqueue; const END: char = '\\'';",
        "use super::keys::Key; use super::*;",
        "pub(crate) fn intake() {}",
    ] {
        assert_eq!(
            trespasses("governance", source),
            Vec::<String>::new(),
            "{source}"
        );
    }
}
