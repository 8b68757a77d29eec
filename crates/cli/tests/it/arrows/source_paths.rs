//! The paths that Rust source names from the crate's root, with groups written out.

/// Every path after `crate::` or a row of `super::`, as segments; `use a::{b, c::*}` is two.
///
/// Of `super::` only paths are meant that leave the folder; the caller knows the names that
/// count, so one that stays inside does no harm. A glob after `super::` stays inside.
pub(super) fn from_the_root(source: &str) -> Vec<Vec<String>> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let root = tokens[at].as_str();
        if (root != "crate" && root != "super") || tokens.get(at + 1).is_none_or(|t| t != "::") {
            at += 1;
            continue;
        }
        at += 2;
        while tokens.get(at).is_some_and(|t| t == "super") {
            at += 2;
        }
        let mut paths = Vec::new();
        at = tree(&tokens, at, &[], &mut paths);
        let local = |path: &Vec<String>| root == "super" && path.first().is_some_and(|s| s == "*");
        found.extend(paths.into_iter().filter(|path| !local(path)));
    }
    found
}

/// Reads one path or group at `at` and returns the place after it.
fn tree(tokens: &[String], mut at: usize, before: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|t| t != "}") {
                    at = tree(tokens, at, &path, out);
                    while tokens.get(at).is_some_and(|t| t != "," && t != "}") {
                        at += 1;
                    }
                    if tokens.get(at).is_some_and(|t| t == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Some(segment) if segment == "*" || is_word(segment) => {
                if segment != "self" {
                    path.push(segment.to_owned());
                }
                at += 1;
            }
            _ => break,
        }
        if tokens.get(at).is_some_and(|t| t == "::") {
            at += 1;
        } else {
            break;
        }
    }
    out.push(path);
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Words, `::` and single signs; comments, strings and characters left out.
fn tokens(source: &str) -> Vec<String> {
    let mut rest = source;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            // A lifetime is a quote and a word without a quote after it.
            let mut next = rest[1..].chars();
            let (a, b) = (next.next(), next.next());
            if a == Some('\\') || b == Some('\'') {
                quoted(rest, '\'')
            } else {
                1
            }
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else if is_word(rest) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let word = &rest[..end.unwrap_or(rest.len())];
            found.push(word.to_owned());
            word.len()
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` at the start, if there is one.
fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let text = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - text.len();
    Some(
        text.find(&end)
            .map_or(rest.len(), |at| start + at + end.len()),
    )
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}
