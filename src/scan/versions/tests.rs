use std::path::Path;

use proptest::prelude::*;

use super::*;

const ALL: [VersionOrder; 12] = [
    VersionOrder::Apk,
    VersionOrder::Cran,
    VersionOrder::Dpkg,
    VersionOrder::Hackage,
    VersionOrder::Maven,
    VersionOrder::Nuget,
    VersionOrder::Packagist,
    VersionOrder::Pep440,
    VersionOrder::Pub,
    VersionOrder::Rpm,
    VersionOrder::RubyGems,
    VersionOrder::Semver,
];

/// `a < b`, `a = b` or `a > b`, and what this program says of them.
fn judged(order: VersionOrder, line: &str) -> Option<(Ordering, Result<Ordering, Incomparable>)> {
    let mut words = line.split(' ');
    let (a, sign, b) = (words.next()?, words.next()?, words.next()?);
    let expected = match sign {
        "<" => Ordering::Less,
        "=" => Ordering::Equal,
        ">" => Ordering::Greater,
        _ => return None,
    };
    Some((expected, compare(order, a, b)))
}

fn holds(order: VersionOrder, lines: &[&str]) {
    for line in lines {
        let (expected, found) = judged(order, line).unwrap();
        assert_eq!(found, Ok(expected), "{order:?}: {line}");
        let turned = line.split(' ').rev().collect::<Vec<_>>();
        assert_eq!(
            compare(order, turned[0], turned[2]),
            Ok(expected.reverse()),
            "{order:?}, turned: {line}"
        );
    }
}

#[test]
fn dpkg_knows_epochs_revisions_and_tildes() {
    holds(
        VersionOrder::Dpkg,
        &[
            "2:9.0.0 > 8.3.2",
            "0:1.0-1 = 1.0-1",
            "1.0~rc1-1 < 1.0-1",
            "1.0~~ < 1.0~",
            "1.0~ < 1.0",
            "1.0 < 1.0a",
            "1.0a < 1.0+b",
            "1.0-1 < 1.0-1+b1",
            "1.0-1 < 1.0-1.1",
            "1.0-9 < 1.0-10",
            "3.0.15-1~deb12u1 < 3.0.15-1",
            "1.00 = 1.0",
            "1:2.33.1-0.1 > 2.33.1-0.1",
            "1.2-3-4 < 1.2-3.1-4",
        ],
    );
    for bad in ["", "a:1", ":1", "1_2", "1 2", "1:"] {
        assert!(compare(VersionOrder::Dpkg, bad, "1").is_err(), "{bad}");
    }
}

#[test]
fn rpm_knows_epochs_tildes_and_carets() {
    holds(
        VersionOrder::Rpm,
        &[
            "1:1.0-1.el9 > 2.0-1.el9",
            "0:1.0-1 = 1.0-1",
            "1.0~rc1-1 < 1.0-1",
            "1.0^git1-1 > 1.0-1",
            "1.0^git1-1 < 1.0.1-1",
            "1.0-9.el9 < 1.0-10.el9",
            "1.05-1 = 1.5-1",
            "1.0a-1 < 1.0.1-1",
            "3.5.0-1.el9 < 3.5.0-1.el9_1",
            "1.2 < 1.2-1",
            "1.2 < 1.3-1",
            "a:1 < a:2",
            "1.0.0-α = 1.0.0-β",
        ],
    );
    assert!(compare(VersionOrder::Rpm, "1 2", "1").is_err());
    assert!(compare(VersionOrder::Rpm, "1:", "1").is_err());
}

/// Case 7: `_rc` sorts before the release.
#[test]
fn apk_knows_suffixes_letters_and_revisions() {
    holds(
        VersionOrder::Apk,
        &[
            "1.6-r0 > 1.6_rc1-r0",
            "1.6_alpha < 1.6_beta",
            "1.6_beta < 1.6_pre",
            "1.6_pre < 1.6_rc",
            "1.6_rc < 1.6_rc1",
            "1.6_rc1 < 1.6",
            "1.6 < 1.6_cvs",
            "1.6_cvs < 1.6_svn",
            "1.6_svn < 1.6_git",
            "1.6_git20240101 < 1.6_p1",
            "1.6_p1 < 1.6a",
            "1.6a < 1.6b",
            "1.6b < 1.6.1",
            "1.6_rc1_p1 > 1.6_rc1",
            "1.6_rc1_alpha1 < 1.6_rc1",
            "1.6-r9 < 1.6-r10",
            "1.6 < 1.6-r0",
            "1.02 < 1.1",
            "010 = 10",
            "1.6~ab < 1.6~ac",
        ],
    );
    // Where the beginnings decide, what follows does not count.
    holds(VersionOrder::Apk, &["1.5-x1 < 1.6-x2", "1.6_blah < 1.7"]);
    for bad in ["", "a", ".1"] {
        assert!(compare(VersionOrder::Apk, bad, "1").is_err(), "{bad}");
    }
    assert!(compare(VersionOrder::Apk, "1.6_blah", "1.6_foo").is_err());
    assert!(compare(VersionOrder::Apk, "1.6-x1", "1.6").is_err());
}

#[test]
fn semantic_versions_are_read_generously() {
    holds(
        VersionOrder::Semver,
        &[
            "1.0.0-alpha < 1.0.0-alpha.1",
            "1.0.0-alpha.1 < 1.0.0-alpha.beta",
            "1.0.0-beta.2 < 1.0.0-beta.11",
            "1.0.0-rc.1 < 1.0.0",
            "1.0.0+a = 1.0.0+b",
            "1.2 = 1.2.0",
            "1 = v1.0.0",
            "01.02.3 = 1.2.3",
            "1.2.3beta < 1.2.3",
            "1.2.3-Foo < 1.2.3-foo",
            "0.0.0-20160722212129-ac0cc4484ad4 < 0.0.0-20200131131040-063a3fb69896",
            "2.0.0+incompatible = 2.0.0",
            "1.21.0-rc.2 < 1.21.0",
            "99999999999999999999999999.0.0 < 100000000000000000000000000.0.0",
        ],
    );
    for bad in ["", "latest", "1..2", "1.x", "1.2.3_4", "(devel)", "1.2.3-ü"] {
        assert!(compare(VersionOrder::Semver, bad, "1.0.0").is_err(), "{bad}");
    }
    holds(VersionOrder::Nuget, &["1.0.0-BETA = 1.0.0-beta", "1.0.0.1 > 1.0", "1.0+a = 1.0.0.0"]);
    holds(VersionOrder::Pub, &["1.0.0 < 1.0.0+1", "1.0.0-a < 1.0.0-a+1", "1.0.0+9 < 1.0.0+10"]);
}

/// Case 8: an order, and no constraint on names of versions.
#[test]
fn python_versions_are_those_of_pep_440() {
    holds(
        VersionOrder::Pep440,
        &[
            "3.0.10 > 3.0.1",
            "1.0 = 1.0.0",
            "1.0.dev1 < 1.0a1",
            "1.0a1 < 1.0b1",
            "1.0b1 < 1.0rc1",
            "1.0rc1 < 1.0",
            "1.0 < 1.0+local",
            "1.0 < 1.0.post1",
            "2!1.0 > 10.0",
            "1.0-1 = 1.0.post1",
            "v1.0 = 1.0",
        ],
    );
    for bad in ["", "0.1-bulbasaur", "2013-02-02T20:23:17+0100", "latest"] {
        assert!(compare(VersionOrder::Pep440, bad, "1.0").is_err(), "{bad}");
    }
}

/// Maven 3.8.7 and later read `1.1.0.Beta1` as `1.1.0-Beta1`, and `1-ga-1` as less than `1-1`.
/// Advisories are written after the older order, which the OSV service keeps.
#[test]
fn maven_versions_are_lists_in_lists() {
    holds(
        VersionOrder::Maven,
        &[
            "1.0-alpha-1 < 1.0-beta-1",
            "1.0-milestone-1 < 1.0-rc1",
            "1.0-cr1 = 1.0-rc1",
            "1.0-SNAPSHOT < 1.0",
            "1.0-SNAPSHOT > 1.0-rc1",
            "1.0.Final = 1.0",
            "1.0-ga = 1",
            "1.0 < 1.0-sp1",
            "1.0-sp1 < 1.0-1",
            "1.0-1 < 1.0.1",
            "1.0a1 = 1.0-alpha-1",
            "1.0-foo < 1.0-1",
            "1.0 < 1.0-foo",
            "2.9.10.8 > 2.9.10",
            "31.0-jre > 31.0-android",
            "1.1.0-01-glassfish < 1.1.0.Beta1",
            "20190126.230843 < 12345678901234567890",
        ],
    );
    for bad in ["", "1 2", "1\n2"] {
        assert!(compare(VersionOrder::Maven, bad, "1").is_err(), "{bad}");
    }
}

#[test]
fn gems_with_a_letter_come_before_their_release() {
    holds(
        VersionOrder::RubyGems,
        &[
            "1.0.0.rc1 < 1.0.0",
            "1.0.0.beta < 1.0.0.rc",
            "1.0.0.rc.2 < 1.0.0.rc.10",
            "1.0 = 1.0.0",
            "1.0.0.rc6.0 = 1.0.0.rc6",
            "1.0.a > 0.9",
            "1.0-1 < 1.0",
            "1.0.0.1 > 1.0.0",
        ],
    );
    for bad in ["", "a", "1..2", "1_2", "1.-"] {
        assert!(compare(VersionOrder::RubyGems, bad, "1").is_err(), "{bad}");
    }
}

#[test]
fn the_rest_of_the_orders() {
    holds(
        VersionOrder::Packagist,
        &[
            "1.0-dev < 1.0alpha1",
            "1.0alpha1 < 1.0b1",
            "1.0b1 < 1.0RC1",
            "1.0RC1 < 1.0",
            "1.0 < 1.0pl1",
            "v1.10 > 1.9",
            "1.0.0 > 1.0",
            "dev-main < 1.0",
            "1.2.3.#.p3 > 1.2.3",
        ],
    );
    holds(VersionOrder::Cran, &["1.8 < 1.8.0", "0.1-1 < 0.1-4", "0.9 < 0.75"]);
    holds(VersionOrder::Hackage, &["1.0.0 > 1.0", "0.1.26.0 > 0"]);
    assert!(compare(VersionOrder::Cran, "1.a", "1").is_err());
    assert!(compare(VersionOrder::Packagist, "1 0", "1").is_err());
}

#[test]
fn each_ecosystem_has_its_order() {
    let check = |ecosystem: &str, expected: Option<VersionOrder>| {
        assert_eq!(VersionOrder::of(ecosystem), expected, "{ecosystem}");
    };
    check("Debian:12", Some(VersionOrder::Dpkg));
    check("Ubuntu:22.04", Some(VersionOrder::Dpkg));
    check("Alpine:v3.20", Some(VersionOrder::Apk));
    check("Red Hat:enterprise_linux:9::baseos", Some(VersionOrder::Rpm));
    check("openSUSE:Leap 15.6", Some(VersionOrder::Rpm));
    check("Go", Some(VersionOrder::Semver));
    check("PyPI", Some(VersionOrder::Pep440));
    check("pypi", None);
    check("GIT", None);
    check("Tomorrow's", None);
    check("", None);
}

/// What the files have and this program does not say: versions that their ecosystem does not allow,
/// and in rpm a hyphen that nothing follows.
const UNSAID: [(&str, usize); 3] = [("alpine", 15), ("pypi", 10), ("redhat", 2)];

#[test]
#[expect(clippy::print_stderr, reason = "that lists are missing should be seen")]
fn the_shared_lists_of_versions_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/osv/versions");
    if !folder.is_dir() {
        eprintln!("the shared lists of versions are not here; only our own are checked");
        return;
    }
    let files = [
        ("alpine", VersionOrder::Apk),
        ("cran", VersionOrder::Cran),
        ("debian", VersionOrder::Dpkg),
        ("hackage", VersionOrder::Hackage),
        ("maven", VersionOrder::Maven),
        ("nuget", VersionOrder::Nuget),
        ("packagist", VersionOrder::Packagist),
        ("pub", VersionOrder::Pub),
        ("pypi", VersionOrder::Pep440),
        ("redhat", VersionOrder::Rpm),
        ("rubygems", VersionOrder::RubyGems),
        ("semver", VersionOrder::Semver),
    ];
    for (name, order) in files {
        let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        let mut unsaid = 0;
        for line in text.lines() {
            let (expected, found) = judged(order, line).unwrap();
            match found {
                Ok(found) if found == expected => {}
                Ok(Ordering::Equal) if line.ends_with(" 1-") => unsaid += 1,
                Ok(found) => panic!("{name}: {line}: {found:?}"),
                Err(_) => unsaid += 1,
            }
        }
        let allowed = UNSAID.iter().find(|(file, _)| *file == name).map_or(0, |(_, most)| *most);
        assert_eq!(unsaid, allowed, "{name}");
    }
}

#[test]
fn hostile_versions_are_refused_or_ordered() {
    let long = "1-".repeat(200);
    assert!(compare(VersionOrder::Maven, &long, "1").is_ok());
    let longer = "1-".repeat(1_000_000);
    for order in ALL {
        assert!(compare(order, &longer, "1").is_err(), "{order:?}");
    }
}

proptest! {
    #[test]
    fn any_two_texts_have_one_order_or_none(a in "\\PC{0,12}", b in "[0-9a-z.~^:+_-]{0,12}", c in "[0-9]{1,3}([.][0-9a]{1,3}){0,3}") {
        for order in ALL {
            for (left, right) in [(&a, &b), (&b, &c), (&a, &c), (&b, &b)] {
                let turned = compare(order, right, left).ok().map(Ordering::reverse);
                prop_assert_eq!(compare(order, left, right).ok(), turned, "{:?} {} {}", order, left, right);
            }
        }
    }
}
