//! Files made to cost time or memory, or to steer a terminal.

use super::{Numbers, sure, token};
use crate::secrets::detector::{Detector, read_bytes};
use crate::secrets::{excuses, shown};

/// What a terminal, a runner or SARIF could take for a command stays text.
#[test]
fn a_hostile_path_is_text() {
    let path = "a\u{1b}[2J\n::error::x\r\u{202e}b](http://evil)";
    let leaks = read_bytes(path, token().as_bytes()).leaks;
    let table = shown::leaks_table(&leaks);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.contains("\\u{1b}") && table.contains("\\n"), "{table}");
    let verdict = crate::secrets::verdict::SecretsVerdict::default();
    let rows = crate::secrets::sarif::rows(&leaks, &verdict, &[], 0);
    let text = rows.results[0]["message"]["text"].as_str().unwrap();
    assert!(!text.contains('\n') && !text.contains("](") && !text.contains('\u{202e}'), "{text}");
    let excuse = excuses::excuse("x", Some("p\n::set-output")).unwrap();
    assert!(!excuse.to_string().contains('\n'));
}

/// Work grows with the bytes alone: each of these has anchors without end.
#[test]
fn anchors_without_end_are_read_in_bounded_memory() {
    let dashes = "-".repeat(5);
    let units = [
        format!("{dashes}BEGIN "),
        format!("{dashes}BEGIN RSA PRIVATE KEY{dashes}\nMIIEAAAA"),
        "LS0tLS1CRUdJTi".to_owned(),
        " eyJ".to_owned(),
        "auths \"auth\": \"".to_owned(),
        "1234567890:AA".to_owned(),
        "\"private_key\"".to_owned(),
        "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: k\nPublic-Lines: 1\nAAAA\n"
            .to_owned(),
    ];
    for unit in units {
        let piece = unit.repeat((1 << 16) / unit.len());
        let mut detector = Detector::new("x");
        (0..32).for_each(|_| detector.feed(piece.as_bytes()));
        let found = detector.finish();
        assert_eq!(sure(&found.leaks), 0, "{unit}");
    }
}

#[test]
fn what_is_beyond_the_most_is_counted_and_hides_no_other_kind() {
    let mut random = Numbers(99);
    let ids: String = (0..1_500)
        .map(|_| format!("AKIA{}\n{}", random.letters(super::BASE32, 16), "-\n".repeat(160)))
        .collect();
    let found = read_bytes("x", format!("{ids}\n{}", token()).as_bytes());
    assert_eq!(sure(&found.leaks), 1);
    // Of so many, one may have too few letters.
    assert_eq!(found.leaks.len(), 1_001);
    assert!((490..=500).contains(&found.left_out), "{}", found.left_out);
}

#[test]
fn any_bytes_are_read() {
    let mut random = Numbers(5);
    let anchors: Vec<&str> =
        crate::secrets::rules::all().flat_map(|rule| rule.anchors).copied().collect();
    for round in 0..400 {
        let mut bytes = Vec::new();
        for _ in 0..round % 40 + 1 {
            let length = random.next() as usize % 90;
            bytes.extend(random.bytes(length));
            bytes.extend(anchors[random.next() as usize % anchors.len()].bytes());
        }
        let path = anchors[round % anchors.len()];
        let whole = read_bytes(path, &bytes);
        let mut detector = Detector::new(path);
        bytes.chunks(round % 7 + 1).for_each(|piece| detector.feed(piece));
        assert_eq!(detector.finish(), whole);
    }
}

/// Each place in a block of eight, and around the end.
#[test]
fn no_place_hides_an_anchor() {
    for before in 0..70 {
        for after in 0..12 {
            let text = format!("{}{}{}", " ".repeat(before), token(), " ".repeat(after));
            assert_eq!(sure(&read_bytes("x", text.as_bytes()).leaks), 1, "{before} {after}");
        }
    }
}
