//! How inputs write lists and switches: lines, commas, quotes, YAML booleans. Pure; it never knows which input it reads.

/// Lines, trimmed; blank lines and `#` comments are dropped.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Lines or comma-separated values, trimmed, empty ones dropped.
pub fn words(text: &str) -> Vec<String> {
    lines(text).iter().flat_map(|line| line.split(',')).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Lines in which a double-quoted field may itself hold line breaks, as `secrets` of docker/build-push-action:
/// `"key=first line\nsecond line"`, a quote inside is doubled.
pub fn quoted_lines(text: &str) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(0x1f) // a line is one field: nothing separates within it
        .from_reader(text.as_bytes());
    let mut found = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        found.extend(record.iter().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    Ok(found)
}

/// `key=value`; the key is not empty.
pub fn key_value(line: &str) -> Option<(&str, &str)> {
    line.split_once('=').map(|(key, value)| (key.trim(), value)).filter(|(key, _)| !key.is_empty())
}

/// A boolean as the YAML 1.2 core schema writes it, which is what `core.getBooleanInput` takes.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_as_the_field_expects() {
        assert_eq!(lines(" a \n\n# no\nb,c\r\n"), ["a", "b,c"]);
        assert_eq!(words("linux/amd64, linux/arm64\nlinux/s390x,"), ["linux/amd64", "linux/arm64", "linux/s390x"]);
        assert_eq!(quoted_lines("A=1\n\"B=x\ny \"\"z\"\"\"\nC=a,b").unwrap(), ["A=1", "B=x\ny \"z\"", "C=a,b"]);
        assert_eq!(key_value("A=b=c"), Some(("A", "b=c")));
        assert_eq!(key_value("=c"), None);
        assert_eq!(boolean("yes"), None);
    }
}
