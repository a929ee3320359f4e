//! A catalog as lines for people: name, version, type. What a hostile image put into a name never
//! reaches the terminal as a command.

use super::catalog::Catalog;

/// Between two columns.
const GAP: usize = 2;
/// What a column keeps however narrow the terminal is.
const NARROWEST: usize = 12;

/// A heading and one line for each package, sorted, at most `width` letters wide where that can be.
pub fn table(catalog: &Catalog, width: usize) -> String {
    let rows = catalog.packages.iter().map(|listed| {
        let package = &listed.package;
        [
            package.name.as_str(),
            package.version.as_deref().unwrap_or("-"),
            package.ecosystem.as_str(),
        ]
        .map(printable)
    });
    let mut rows: Vec<[String; 3]> = rows.collect();
    rows.sort();
    rows.insert(0, ["NAME", "VERSION", "TYPE"].map(str::to_owned));
    let widths = fitting(rows.iter(), width);
    rows.iter().map(|row| line(row, widths)).collect()
}

/// Letters that a terminal shows as letters; those that steer it or turn the direction of text
/// become `?`.
pub fn printable(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|letter| if steers(letter) { '?' } else { letter }).collect()
}

/// The widest cell of each column, less what would not fit: names give way first, then versions.
fn fitting<'a>(rows: impl Iterator<Item = &'a [String; 3]>, width: usize) -> [usize; 3] {
    let mut widths = rows.fold([0; 3], |widest: [usize; 3], row| {
        let [a, b, c] = [0, 1, 2].map(|at: usize| {
            let cell = row.get(at).map_or(0, |cell| cell.chars().count());
            widest.get(at).copied().unwrap_or_default().max(cell)
        });
        [a, b, c]
    });
    let mut over = (widths.iter().sum::<usize>() + 2 * GAP).saturating_sub(width);
    for column in widths.iter_mut().take(2) {
        let taken = over.min(column.saturating_sub(NARROWEST));
        *column -= taken;
        over -= taken;
    }
    widths
}

fn line([name, version, kind]: &[String; 3], [names, versions, _]: [usize; 3]) -> String {
    format!(
        "{:names$}  {:versions$}  {kind}\n",
        shortened(name, names),
        shortened(version, versions)
    )
}

fn shortened(cell: &str, most: usize) -> String {
    if cell.chars().count() <= most {
        return cell.to_owned();
    }
    cell.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sbom::catalog::CatalogedPackage;
    use crate::sbom::package::{Ecosystem, Package};

    fn catalog(packages: &[(Ecosystem, &str, Option<&str>)]) -> Catalog {
        let listed =
            |(ecosystem, name, version): &(Ecosystem, &str, Option<&str>)| CatalogedPackage {
                package: Package {
                    version: version.map(str::to_owned),
                    ..Package::named(*ecosystem, *name)
                },
                purl: String::new(),
                locations: BTreeSet::new(),
                layers: BTreeSet::new(),
                files: BTreeSet::new(),
            };
        let packages = packages.iter().map(listed).collect();
        Catalog {
            release: None,
            packages,
            dependencies: BTreeSet::new(),
            warnings: Vec::new(),
            newest: None,
            files: Default::default(),
        }
    }

    #[test]
    fn columns_are_aligned_and_lines_sorted() {
        let catalog = catalog(&[
            (Ecosystem::Npm, "zod", Some("3.0.0")),
            (Ecosystem::Deb, "libc6", None),
            (Ecosystem::Npm, "é", Some("1")),
        ]);
        let expected =
            "NAME   VERSION  TYPE\nlibc6  -        deb\nzod    3.0.0    npm\né      1        npm\n";
        assert_eq!(table(&catalog, 80), expected);
    }

    #[test]
    fn what_is_too_wide_is_shortened_and_steers_no_terminal() {
        let long = "a".repeat(60);
        let catalog = catalog(&[
            (Ecosystem::Npm, &long, Some("1.0")),
            (Ecosystem::Npm, "x\u{1b}[2J\u{202e}\n", Some("1")),
        ]);
        let lines: Vec<String> = table(&catalog, 40).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3);
        assert!(
            lines[1].starts_with(&format!("{}…  1.0", "a".repeat(24)))
                && lines[1].chars().count() <= 40,
            "{lines:?}"
        );
        assert!(lines[2].starts_with("x?[2J??"), "{lines:?}");
    }
}
