//! `supply-action secrets` as a person calls it: what fails, what may stay, and that no value is
//! told.

use std::path::Path;
use std::process::Output;

/// A token as GitHub makes them: 30 letters, and their checksum in base 62.
pub(crate) fn token(letters: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut sum = crc32fast::hash(letters.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(sum % 62) as usize];
        sum /= 62;
    }
    format!("{}_{letters}{}", "ghp", std::str::from_utf8(&digits).unwrap())
}

fn secrets(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        std::process::Command::new(env!("CARGO_BIN_EXE_supply-action"))
            .arg("secrets")
            .args(more)
            .arg(folder)
            .env_clear()
            .output()
            .unwrap();
    let said = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code(), said)
}

#[test]
fn a_token_fails_until_it_may_stay_and_is_never_told() {
    let folder = tempfile::tempdir().unwrap();
    let (root, token) = (folder.path().join("src"), token("aZ3kQ9xB7mW2pL5vR8tY1cN6dF4gHj"));
    std::fs::create_dir_all(root.join("app")).unwrap();
    std::fs::write(root.join("app/deploy.sh"), format!("export T={token}\n")).unwrap();
    let (code, said) = secrets(&root, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("app/deploy.sh:1") && said.contains("holds 1 secret"), "{said}");
    let (_, json) = secrets(&root, &["--format", "json", "--fail-on", "none"]);
    assert!(json.contains("\"files\":1"), "{json}");
    for told in [&said, &json] {
        assert!(!told.contains(&token[8..]), "{told}");
    }
    let from = said.find("sha256:").unwrap();
    let fingerprint = &said[from..from + 71];
    let risks = folder.path().join("risks.yaml");
    let accept = |entry: &str| std::fs::write(&risks, format!("accepted:\n{entry}")).unwrap();
    let named = ["--ignore-file", risks.to_str().unwrap()];
    accept(&format!("- id: {fingerprint}\n  reason: a token of the tests\n"));
    assert_eq!(secrets(&root, &named).0, Some(0));
    accept(&format!("- id: {fingerprint}\n  reason: gone\n  expires: 2020-01-01\n"));
    let (code, said) = secrets(&root, &named);
    assert!(code == Some(1) && said.contains("it has expired"), "{said}");
    accept(&format!("- id: {fingerprint}\n"));
    assert_eq!(secrets(&root, &named).0, Some(2), "no reason is given");
    assert_eq!(secrets(&root, &["--exclude", "app"]).0, Some(0));
}

#[test]
fn a_checksum_that_is_wrong_is_no_token_and_no_directory_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut token = token("aZ3kQ9xB7mW2pL5vR8tY1cN6dF4gHj");
    let last = if token.pop() == Some('0') { '1' } else { '0' };
    token.push(last);
    std::fs::write(folder.path().join("a"), &token).unwrap();
    let (code, said) = secrets(folder.path(), &[]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = secrets(&folder.path().join("nowhere"), &[]);
    assert!(code == Some(2) && said.contains("nowhere` is not there"), "{said}");
    let (code, said) = secrets(&folder.path().join("a"), &[]);
    assert!(code == Some(4) && said.contains("is malformed"), "{said}");
    let (code, said) = secrets(folder.path(), &["--fail-on-misconfig", "low"]);
    assert!(code == Some(2) && said.contains("`--fail-on-misconfig`"), "{said}");
    let risks = folder.path().join("risks.yaml");
    std::fs::write(&risks, "accepted:\n- id: github-tokn\n  reason: misspelt\n").unwrap();
    let (_, said) = secrets(folder.path(), &["--ignore-file", risks.to_str().unwrap()]);
    assert!(said.contains("`github-tokn`") && said.contains("accepts no secret"), "{said}");
    let (code, said) = secrets(folder.path(), &["--ignore-file", "/dev/zero"]);
    assert!(code == Some(2) && said.contains("is larger than"), "{said}");
}
