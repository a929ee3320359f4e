//! `outputs` as buildx reads them → those that stay on this machine, and of an image's output what
//! is the user's to say. Pure; where the image goes and under which name is never among it.
//!
//! Reference: <https://docs.docker.com/build/exporters/image-registry/>.

use super::arguments::csv_row;
use crate::text::csv::{self, CsvDialect};

/// Outputs that stay on this machine.
const LOCAL: [&str; 5] = ["local", "tar", "oci", "docker", "cacheonly"];
const IMAGES: [&str; 2] = ["image", "registry"];
/// How alike two names must be for one to be a slip of the other.
const ALIKE: f64 = 0.75;

/// Attributes of an image's output that are the user's, beside its annotations.
const KEPT: [&str; 6] = [
    "compression",
    "compression-level",
    "force-compression",
    "rewrite-timestamp",
    "oci-mediatypes",
    "oci-artifact",
];
/// Attributes that say where the image goes; the inputs say that.
const OURS: [&str; 5] = ["type", "name", "push", "push-by-digest", "name-canonical"];

/// Outputs that stay on this machine are the user's; every other could put a name on an image
/// without proof, and is left out.
pub fn is_kept(output: &str) -> bool {
    // A path alone, or `-`, is a local output.
    kind(output).is_none_or(|kind| LOCAL.contains(&kind.as_str()))
}

pub fn is_image(output: &str) -> bool {
    kind(output).is_some_and(|kind| IMAGES.contains(&kind.as_str()))
}

/// Why this is no output, with what was meant.
pub fn wrong(output: &str) -> Option<String> {
    let kind = kind(output)?;
    let mut known = LOCAL.iter().chain(&IMAGES);
    if known.clone().any(|known| *known == kind) {
        return None;
    }
    if kind.is_empty() {
        return Some(format!("`{output}` has no `type`"));
    }
    let meant = known
        .find(|known| strsim::jaro_winkler(&kind, known) >= ALIKE)
        .map(|known| format!("; did you mean `{known}`?"));
    Some(format!("there is no `type={kind}`, in `{output}`{}", meant.unwrap_or_default()))
}

/// The `type` of attributes, read as leniently as buildx does; `None` for a path alone.
pub fn kind(attributes: &str) -> Option<String> {
    if !attributes.contains('=') {
        return None;
    }
    Some(value(attributes, "type").unwrap_or_default().trim().to_lowercase())
}

/// The attributes in their order; names in small letters.
pub fn fields(attributes: &str) -> Vec<(String, String)> {
    // What is no CSV to buildx has no fields.
    let records = csv::read(attributes, CsvDialect::default()).unwrap_or_default();
    let fields = records.into_iter().flatten();
    fields
        .filter_map(|field| {
            field.split_once('=').map(|(key, value)| (key.trim().to_lowercase(), value.to_owned()))
        })
        .collect()
}

/// The value of an attribute: of several, the last.
pub fn value(attributes: &str, key: &str) -> Option<String> {
    fields(attributes).into_iter().rfind(|(known, _)| known == key).map(|(_, value)| value)
}

/// A switch among the attributes, as Go reads it.
pub fn switch(attributes: &str, key: &str) -> Option<bool> {
    match value(attributes, key)?.trim() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The names that an image's output gives.
pub fn names(output: &str) -> Vec<String> {
    let named = value(output, "name").unwrap_or_default();
    named.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn is_users(key: &str) -> bool {
    KEPT.contains(&key) || key.starts_with("annotation")
}

/// What of the images' outputs is kept on the one that is pushed: of what is said twice, the last.
pub fn kept_of_images<T: AsRef<str>>(
    outputs: impl IntoIterator<Item = T>,
) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for (key, value) in outputs
        .into_iter()
        .filter(|output| is_image(output.as_ref()))
        .flat_map(|output| fields(output.as_ref()))
    {
        if is_users(&key) {
            kept.retain(|(known, _)| *known != key);
            kept.push((key, value));
        }
    }
    kept
}

/// Attributes that change nothing where the image is pushed by digest.
const NEEDLESS: [&str; 6] =
    ["unpack", "store", "dangling-name-prefix", "buildinfo", "registry.insecure", "tar"];

/// Why an attribute of an image's output can be none, with what was meant.
pub fn misspelt(output: &str) -> Option<String> {
    const ALIKE: f64 = 0.84;
    let fields = if is_image(output) { fields(output) } else { Vec::new() };
    let known = || KEPT.iter().chain(&OURS).chain(&NEEDLESS).copied();
    let slip = |key: &str| {
        let alike = known().map(|known| (strsim::jaro_winkler(key, known), known));
        alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|one, other| one.0.total_cmp(&other.0))
    };
    let strange = |key: &&str| !known().any(|known| known == *key) && !is_users(key);
    let (key, (_, meant)) = fields
        .iter()
        .map(|(key, _)| key.as_str())
        .filter(strange)
        .find_map(|key| Some((key, slip(key)?)))?;
    Some(format!("an image has no attribute `{key}`, in `{output}`; did you mean `{meant}`?"))
}

/// Attributes of an image's output that change nothing.
pub fn unheeded(output: &str) -> Vec<String> {
    let fields = if is_image(output) { fields(output) } else { Vec::new() };
    let unheeded =
        fields.into_iter().filter(|(key, _)| !is_users(key) && !OURS.contains(&key.as_str()));
    unheeded.map(|(key, value)| csv_row(&[format!("{key}={value}")])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_keeps_what_says_nothing_of_where_it_goes() {
        let outputs = [
            "type=image,\"name=r.io/a,r.io/b\",push=true,compression=zstd,force-compression=true,Compression-Level=3",
            "type=local,dest=out,compression=gzip",
            "type=registry,rewrite-timestamp=true,oci-mediatypes=false,compression=gzip,annotation-index.a=b,registry.insecure=true",
        ];
        let kept: Vec<String> =
            kept_of_images(outputs).iter().map(|(key, value)| format!("{key}={value}")).collect();
        #[rustfmt::skip]
        assert_eq!(kept, [
            "force-compression=true", "compression-level=3", "rewrite-timestamp=true", "oci-mediatypes=false", "compression=gzip",
            "annotation-index.a=b",
        ]);
        assert_eq!(names(outputs[0]), ["r.io/a", "r.io/b"]);
        assert_eq!(unheeded(outputs[2]), ["registry.insecure=true"]);
        assert!(unheeded(outputs[0]).is_empty() && unheeded(outputs[1]).is_empty());
        assert_eq!(
            (switch(outputs[0], "push"), switch(outputs[0], "push-by-digest")),
            (Some(true), None)
        );
    }

    #[test]
    fn a_misspelt_attribute_is_told_with_what_was_meant() {
        for (output, meant) in [
            ("type=image,compresion=zstd", "did you mean `compression`?"),
            ("type=image,force-compresion=true,push=true", "did you mean `force-compression`?"),
            ("type=registry,rewrite-timestamps=true", "did you mean `rewrite-timestamp`?"),
            ("type=image,push-by-digst=true", "did you mean `push-by-digest`?"),
        ] {
            assert!(misspelt(output).unwrap().contains(meant), "{output}");
        }
        for right in [
            "type=image,unpack=true,store=false,buildinfo=true",
            "type=image,annotation-index.x=y,compression-level=3",
            "type=local,dest=x,compresion=zstd",
            "type=image,some-new-thing=1",
            "out",
        ] {
            assert_eq!(misspelt(right), None, "{right}");
        }
    }

    #[test]
    fn what_is_no_output_says_so() {
        for (output, why) in [
            ("dest=out", "has no `type`"),
            ("type=locl,dest=x", "did you mean `local`?"),
            ("type=new", "there is no `type=new`"),
        ] {
            assert!(wrong(output).unwrap().contains(why), "{output}");
        }
        for right in ["out", "-", "type=local,dest=x", "type=image", "TYPE = Registry"] {
            assert_eq!(wrong(right), None, "{right}");
        }
    }
}
