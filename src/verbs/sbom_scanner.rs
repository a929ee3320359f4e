//! BuildKit's scanner protocol as a verb: runs inside the scanner image, once for each platform.

use crate::environment::Environment;
use crate::report::Report;

pub fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    for scan in crate::sbom::scanner::run(env)? {
        report.say(&format!(
            "{}: {} packages, {} bytes of SPDX",
            scan.name, scan.packages, scan.bytes
        ));
        scan.remarks.iter().for_each(|remark| report.notice(remark));
    }
    Ok(())
}
