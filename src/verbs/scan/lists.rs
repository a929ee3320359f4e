//! Options → what is accepted and what is exploited, read before anything is scanned. A file that
//! cannot be followed to the letter is refused.

use std::path::Path;

use anyhow::Context as _;

use super::Arguments;
use crate::error::{WithExit, exit};
use crate::scan::accepted::{Accepted, BadFile};
use crate::scan::exploited::Exploited;

/// No list is larger.
const LARGEST: u64 = 512 << 20;

pub(super) struct Lists {
    pub(super) accepted: Accepted,
    pub(super) exploited: Exploited,
}

pub(super) fn read(arguments: &Arguments) -> anyhow::Result<Lists> {
    let mut lists = Lists { accepted: Accepted::default(), exploited: Exploited::default() };
    for file in &arguments.ignore {
        add(&mut lists.accepted, file)?;
    }
    for file in &arguments.vex {
        let bytes = bytes(file)?;
        lists.accepted.add_openvex(&file.display().to_string(), &bytes).map_err(bad)?;
    }
    if let Some(file) = &arguments.kev {
        let named = || format!("option `--kev`: `{}`", file.display());
        lists.exploited.add_kev(&bytes(file)?).map_err(wrong).with_context(named)?;
    }
    if let Some(file) = &arguments.epss {
        let named = || format!("option `--epss`: `{}`", file.display());
        let text = text(file)?;
        lists.exploited.add_epss(&text).map_err(wrong).with_context(named)?;
    }
    Ok(lists)
}

/// By the name that its own program looks for; any other is ours.
fn add(accepted: &mut Accepted, file: &Path) -> anyhow::Result<()> {
    let (text, shown) = (text(file)?, file.display().to_string());
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    match name.as_str() {
        ".trivyignore" => accepted.add_trivyignore(&shown, &text),
        ".grype.yaml" | ".grype.yml" | "grype.yaml" => accepted.add_grype(&shown, &text),
        "osv-scanner.toml" => accepted.add_osv_scanner(&shown, &text),
        _ => accepted.add_ignores(&shown, &text),
    }
    .map_err(bad)
}

fn bad(error: BadFile) -> anyhow::Error {
    wrong(error)
}

fn wrong(error: impl std::fmt::Display) -> anyhow::Error {
    WithExit { code: exit::BAD_INPUT, message: error.to_string() }.into()
}

fn bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LARGEST => {
            Err(wrong(format!("`{}` is larger than {LARGEST} bytes", file.display())))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(wrong(format!("`{}` cannot be read: {error}", file.display()))),
    }
}

fn text(file: &Path) -> anyhow::Result<String> {
    let not_utf8 = |_| wrong(format!("`{}` is not UTF-8", file.display()));
    String::from_utf8(bytes(file)?).map_err(not_utf8)
}
