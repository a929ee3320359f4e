//! Streams that archive/tar of Go 1.26 read, with what it read of each: where one dialect meets
//! another, and where numbers, names and ends are odd.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read as _};

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct TarCase {
    name: String,
    size: usize,
    /// What is not zero, in hexadecimal digits by its place.
    set: BTreeMap<String, String>,
    /// What Go reads, an entry each; entries of a type that container runtimes refuse count as
    /// refusals.
    entries: Vec<String>,
}

fn shown(name: &[u8]) -> String {
    let mut text = String::new();
    for byte in name {
        let is_plain = matches!(byte, 0x20..0x7f) && !b"\\\"".contains(byte);
        let _ = if is_plain {
            write!(text, "{}", char::from(*byte))
        } else {
            write!(text, "\\x{byte:02x}")
        };
    }
    format!("\"{text}\"")
}

fn read(bytes: Vec<u8>) -> Result<Vec<String>, TarError> {
    let mut tar = Tar::new(io::Cursor::new(bytes));
    let mut found = Vec::new();
    while let Some(entry) = tar.next()? {
        let name = shown(&entry.path);
        found.push(match entry.kind {
            TarKind::File => {
                let mut contents = Vec::new();
                (&mut tar).take(1 << 22).read_to_end(&mut contents)?;
                contents.truncate(24);
                format!("file {name} {} {} {}", entry.size, entry.modified, hex::encode(contents))
            }
            TarKind::HardLink => format!("hard {name} {}", shown(&entry.link)),
            TarKind::SymbolicLink => format!("link {name} {}", shown(&entry.link)),
            TarKind::Directory => format!("directory {name}"),
            TarKind::Other => format!("other {name}"),
        });
    }
    Ok(found)
}

#[test]
fn every_stream_is_read_as_go_reads_it() {
    let cases: Vec<TarCase> = serde_json::from_slice(
        &std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tar/go.json")).unwrap(),
    )
    .unwrap();
    let mut differing = Vec::new();
    for case in cases {
        let mut bytes = vec![0; case.size];
        for (place, set) in case.set {
            let (place, set): (usize, _) = (place.parse().unwrap(), hex::decode(set).unwrap());
            bytes[place..place + set.len()].copy_from_slice(&set);
        }
        let ours = read(bytes).unwrap_or_else(|_| vec!["refused".to_owned()]);
        if ours != case.entries {
            differing.push(format!("{}:\n  ours {ours:?}\n  Go   {:?}", case.name, case.entries));
        }
    }
    assert!(differing.is_empty(), "{} differ\n{}", differing.len(), differing.join("\n"));
}
