use super::*;

/// The day on which scan.md's sources were read; some releases had ended, others had not.
fn now() -> Timestamp {
    "2026-11-28T00:00:00Z".parse().unwrap()
}

fn release(id: &str, version: &str, name: &str) -> OsRelease {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    OsRelease { id: id.into(), version: given(version), name: given(name) }
}

fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
    Package { version: Some(version.into()), ..Package::named(ecosystem, name) }
}

fn built_from(package: Package, name: &str, version: Option<&str>) -> Package {
    let upstream = SourcePackage { name: name.into(), version: version.map(Into::into) };
    Package { upstream: Some(upstream), ..package }
}

fn asked(package: &Package, release: Option<&OsRelease>) -> Vec<String> {
    let inquiry = inquire(package, release, now());
    let line = |it: AdvisoryQuestion| format!("{} {} {}", it.ecosystem, it.name, it.version);
    inquiry.questions.into_iter().map(line).collect()
}

fn gap(package: &Package, release: Option<&OsRelease>) -> String {
    inquire(package, release, now()).gap.map(|gap| gap.to_string()).unwrap_or_default()
}

/// Cases 4 and 5: the source's name and the source's version.
#[test]
fn debian_is_asked_for_the_source_by_its_version() {
    let debian = release("debian", "12", "Debian GNU/Linux 12 (bookworm)");
    let check = |package: Package, expected: &str| {
        assert_eq!(asked(&package, Some(&debian)), [expected]);
    };
    let deb = |name: &str, version: &str| package(Ecosystem::Deb, name, version);
    check(deb("openssl", "3.0.15-1~deb12u1"), "Debian:12 openssl 3.0.15-1~deb12u1");
    check(
        built_from(deb("bsdutils", "1:2.33.1-0.1"), "util-linux", Some("2.33.1-0.1")),
        "Debian:12 util-linux 2.33.1-0.1",
    );
    check(
        built_from(deb("libc6", "2.36-9+deb12u10"), "glibc", None),
        "Debian:12 glibc 2.36-9+deb12u10",
    );
    check(built_from(deb("libgcc-s1", "12.2.0-14"), "gcc-12", None), "Debian:12 gcc-12 12.2.0-14");
    check(deb("attr", "1:2.5.1-4+b2"), "Debian:12 attr 1:2.5.1-4");
    check(deb("x", "1.0+beta"), "Debian:12 x 1.0+beta");
    check(
        built_from(
            deb("linux-image-6.1.0-28-amd64", "6.1.119-1"),
            "linux-signed-amd64",
            Some("6.1.119+1"),
        ),
        "Debian:12 linux 6.1.119-1",
    );
    let point = release("debian", "12.5", "");
    assert_eq!(asked(&deb("a", "1"), Some(&point)), ["Debian:12 a 1"]);
}

/// Case 6: the origin.
#[test]
fn alpine_is_asked_for_the_origin_and_wolfi_for_both() {
    let libssl = built_from(package(Ecosystem::Apk, "libssl3", "3.1.4-r2"), "openssl", None);
    let check = |release: OsRelease, expected: &[&str]| {
        assert_eq!(asked(&libssl, Some(&release)), expected);
    };
    check(release("alpine", "3.20.3", "Alpine Linux v3.20"), &["Alpine:v3.20 openssl 3.1.4-r2"]);
    check(
        release("alpine", "3.23.0_alpha20250612", "Alpine Linux edge"),
        &["Alpine:edge openssl 3.1.4-r2"],
    );
    check(
        release("wolfi", "20230201", "Wolfi"),
        &["Wolfi openssl 3.1.4-r2", "Wolfi libssl3 3.1.4-r2"],
    );
    let musl = package(Ecosystem::Apk, "musl", "1.2.5-r0");
    assert_eq!(asked(&musl, Some(&release("chainguard", "", ""))), ["Chainguard musl 1.2.5-r0"]);
}

/// Cases 2 and 21: the epoch counts, and Red Hat is asked for the repositories of images alone.
#[test]
fn rpms_are_asked_for_with_their_epoch() {
    let openssl = built_from(
        package(Ecosystem::Rpm, "openssl-libs", "1:3.5.0-1.el9"),
        "openssl-3.5.0-1.el9.src.rpm",
        None,
    );
    let check = |id: &str, version: &str, name: &str, expected: &[&str]| {
        assert_eq!(asked(&openssl, Some(&release(id, version, name))), expected, "{id}");
    };
    check("almalinux", "9.4", "", &["AlmaLinux:9 openssl-libs 1:3.5.0-1.el9"]);
    check("rocky", "9.4", "", &["Rocky Linux:9 openssl-libs 1:3.5.0-1.el9"]);
    check(
        "rhel",
        "9.4",
        "",
        &[
            "Red Hat:enterprise_linux:9::baseos openssl-libs 1:3.5.0-1.el9",
            "Red Hat:enterprise_linux:9::appstream openssl-libs 1:3.5.0-1.el9",
        ],
    );
    check(
        "sles",
        "15.5",
        "SUSE Linux Enterprise Server 15 SP5",
        &["SUSE:Linux Enterprise Server 15 SP5 openssl 1:3.5.0-1.el9"],
    );
    check(
        "opensuse-leap",
        "15.6",
        "openSUSE Leap 15.6",
        &["openSUSE:Leap 15.6 openssl 1:3.5.0-1.el9"],
    );
    check("opensuse-tumbleweed", "20250101", "", &["openSUSE:Tumbleweed openssl 1:3.5.0-1.el9"]);
    check(
        "openeuler",
        "24.03",
        "openEuler 24.03 (LTS)",
        &["openEuler:24.03-LTS openssl 1:3.5.0-1.el9"],
    );
    check(
        "openeuler",
        "22.03",
        "openEuler 22.03 (LTS-SP3)",
        &["openEuler:22.03-LTS-SP3 openssl 1:3.5.0-1.el9"],
    );
    check("azurelinux", "3.0", "", &["Azure Linux:3 openssl 1:3.5.0-1.el9"]);
    check("mageia", "9", "", &["Mageia:9 openssl 1:3.5.0-1.el9"]);
    let zero = package(Ecosystem::Rpm, "bash", "0:5.1.8-9.el9");
    assert_eq!(asked(&zero, Some(&release("rocky", "9", ""))), ["Rocky Linux:9 bash 5.1.8-9.el9"]);
}

#[test]
fn languages_are_asked_by_their_own_spelling() {
    let check = |ecosystem: Ecosystem, name: &str, version: &str, expected: &str| {
        assert_eq!(asked(&package(ecosystem, name, version), None), [expected]);
    };
    check(Ecosystem::Pypi, "Zope.Interface_x", "1.0", "PyPI zope-interface-x 1.0");
    check(Ecosystem::Npm, "@babel/core", "7.1.0", "npm @babel/core 7.1.0");
    check(Ecosystem::Maven, "org.slf4j:slf4j-api", "2.0.1", "Maven org.slf4j:slf4j-api 2.0.1");
    check(Ecosystem::Composer, "Psr/Log", "3.0.0", "Packagist psr/log 3.0.0");
    check(Ecosystem::Nuget, "Newtonsoft.Json", "13.0.1", "NuGet Newtonsoft.Json 13.0.1");
    check(Ecosystem::Cargo, "time", "0.1.43", "crates.io time 0.1.43");
    check(Ecosystem::Gem, "rake", "13.0.6", "RubyGems rake 13.0.6");
    check(Ecosystem::Golang, "golang.org/x/text", "v0.3.2", "Go golang.org/x/text 0.3.2");
    check(Ecosystem::Golang, "stdlib", "1.22.4", "Go stdlib 1.22.4");
    check(Ecosystem::Golang, "stdlib", "1.21rc2", "Go stdlib 1.21.0-rc.2");
    check(Ecosystem::Golang, "toolchain", "go1.22.4", "Go toolchain 1.22.4");
    let newtonsoft = AdvisoryQuestion {
        ecosystem: "NuGet".into(),
        name: "newtonsoft.json".into(),
        version: "1".into(),
    };
    assert!(newtonsoft.is_about("NuGet", "Newtonsoft.Json"));
    assert!(!newtonsoft.is_about("nuget", "Newtonsoft.Json"));
}

/// Case 11: a commit of the main module is no place among its tags. A dependency's is.
#[test]
fn a_main_module_made_of_a_commit_is_not_assessed() {
    let commit = "v0.0.0-20240208101112-0123456789ab+dirty";
    let main = Package {
        notes: vec!["Built from revision 0123456789abcdef, with changes.".into()],
        ..package(Ecosystem::Golang, "github.com/hashicorp/consul", commit)
    };
    assert_eq!(asked(&main, None), Vec::<String>::new());
    assert_eq!(
        gap(&main, None),
        "it is a main module, and its version comes from a commit, not from a tag"
    );
    let told = Package { version: Some("v1.18.0".into()), ..main.clone() };
    assert_eq!(asked(&told, None), ["Go github.com/hashicorp/consul 1.18.0"]);
    let devel = Package { version: None, ..main };
    assert_eq!(gap(&devel, None), "its version is not known");
    let dependency =
        package(Ecosystem::Golang, "golang.org/x/exp", "v0.0.0-20240208101112-0123456789ab");
    assert_eq!(asked(&dependency, None), ["Go golang.org/x/exp 0.0.0-20240208101112-0123456789ab"]);
}

#[test]
fn every_release_has_one_end_that_can_be_read() {
    let lines = include_str!("releases.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut known = std::collections::BTreeSet::new();
    for line in lines {
        let (release, end) = line.split_once('\t').unwrap();
        end.parse::<jiff::civil::Date>().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(release.contains(':') && known.insert(release), "{line}");
    }
    assert!(known.len() > 70, "{}", known.len());
}

/// Case 23: silence about a release that nobody maintains is no good news.
#[test]
fn what_no_source_covers_is_named() {
    let apk = package(Ecosystem::Apk, "musl", "1.1.19-r10");
    let deb = package(Ecosystem::Deb, "bash", "5.0-4");
    let rpm = package(Ecosystem::Rpm, "bash", "5.0-4");
    let of = |package: &Package, id: &str, version: &str, name: &str| {
        gap(package, Some(&release(id, version, name)))
    };
    assert_eq!(
        of(&apk, "alpine", "3.8.5", "Alpine Linux v3.8"),
        "`Alpine:v3.8` is no longer maintained since 2020-05-01"
    );
    assert_eq!(
        of(&apk, "alpine", "3.20.3", ""),
        "`Alpine:v3.20` is no longer maintained since 2026-04-01"
    );
    assert_eq!(of(&apk, "alpine", "3.22.1", ""), "");
    assert_eq!(of(&apk, "alpine", "3.99.0", ""), "", "newer than this program");
    assert_eq!(
        of(&deb, "debian", "10", ""),
        "`Debian:10` is no longer maintained since 2024-06-30"
    );
    assert_eq!(of(&deb, "debian", "12", ""), "");
    assert_eq!(
        of(&deb, "debian", "sid", "Debian GNU/Linux trixie/sid"),
        "no source has advisories for a release of `Debian GNU/Linux trixie/sid` without a number"
    );
    assert_eq!(of(&deb, "ubuntu", "24.04", "Ubuntu 24.04.1 LTS"), "");
    assert_eq!(
        of(&deb, "ubuntu", "23.04", "Ubuntu 23.04"),
        "`Ubuntu:23.04` is no longer maintained since 2024-01-25",
        "between two that are maintained for long"
    );
    assert_eq!(
        of(&rpm, "opensuse-leap", "42.3", "openSUSE Leap 42.3"),
        "`openSUSE:Leap 42.3` is no longer maintained since 2019-07-01",
        "it is older than 15.6, whatever the numbers say"
    );
    assert_eq!(of(&rpm, "almalinux", "10.1", ""), "");
    assert!(of(&deb, "ubuntu", "noble", "").contains("without a number"));
    assert_eq!(of(&rpm, "rhel", "7.9", ""), "`Red Hat:7` is no longer maintained since 2024-06-30");
    for (id, name) in [("amzn", "Amazon Linux 2023"), ("ol", "Oracle Linux"), ("photon", "Photon")]
    {
        assert_eq!(of(&rpm, id, "9", name), format!("no source has advisories for `{name}`"));
    }
    assert_eq!(of(&deb, "raspbian", "12", ""), "no source has advisories for `raspbian`");
    assert_eq!(gap(&rpm, None), "its distribution is not known");
    assert_eq!(gap(&deb, None), "its distribution is not known");
    // What is known of a release past its end is still asked for.
    assert_eq!(asked(&deb, Some(&release("debian", "10", ""))), ["Debian:10 bash 5.0-4"]);
    let conda = package(Ecosystem::Conda, "numpy", "1.0");
    assert_eq!(gap(&conda, None), "no source has advisories for `conda`");
    for other in [Ecosystem::Nix, Ecosystem::Otp, Ecosystem::Ebuild, Ecosystem::Wordpress] {
        let expected = format!("no source has advisories for `{}`", other.as_str());
        assert_eq!(gap(&package(other, "a", "1.0"), None), expected);
    }
    let application = package(Ecosystem::Otp, "Plug", "1.0.0");
    assert_eq!(asked(&application, None), ["Hex plug 1.0.0"], "what is found counts");
    let opkg = package(Ecosystem::Opkg, "dnsmasq", "2.90-2");
    assert_eq!(of(&opkg, "openwrt", "23.05.3", ""), "no source has advisories for `openwrt`");
    let generic = package(Ecosystem::Generic, "redis", "7.0");
    assert!(gap(&generic, None).contains("no package manager"));
    let jar = Package { is_guess: true, ..package(Ecosystem::Maven, "app", "1.0") };
    assert_eq!(gap(&jar, None), "its name comes from the name of a file");
    for branch in ["dev-main", "2.x-dev", "1.0.x-dev", "next-dev"] {
        assert_eq!(
            gap(&package(Ecosystem::Composer, "a/b", branch), None),
            "its version is a branch, which has no order"
        );
    }
    // It is before `3.0.0-alpha1`.
    for version in ["3.0.0-dev", "v3.0.0-dev"] {
        let asked = asked(&package(Ecosystem::Composer, "a/b", version), None);
        assert_eq!(asked, [format!("Packagist a/b {version}")]);
    }
    assert_eq!(gap(&Package::named(Ecosystem::Npm, "a"), None), "its version is not known");
}

#[test]
fn no_kind_of_package_is_taken_for_assessed_without_a_question() {
    let debian = release("debian", "12", "");
    for ecosystem in Ecosystem::ALL {
        let inquiry = inquire(&package(ecosystem, "a:b", "1.0"), Some(&debian), now());
        assert!(inquiry.gap.is_some() || !inquiry.questions.is_empty(), "{ecosystem:?}");
    }
}

#[test]
fn what_an_sbom_in_the_image_states_is_asked_by_its_purl() {
    let debian = release("debian", "12", "");
    let stated = |purl: &str| Package {
        stated: Some(purl.to_owned()),
        ..package(Ecosystem::Rpm, "libgfortran", "8.5.0-22.el8_10")
    };
    let alma = stated("pkg:rpm/almalinux/libgfortran@8.5.0-22.el8_10?distro=almalinux-8");
    assert_eq!(asked(&alma, Some(&debian)), ["AlmaLinux:8 libgfortran 8.5.0-22.el8_10"]);
    let bitnami = stated("pkg:bitnami/redis@7.2.4-1?arch=amd64");
    assert_eq!(asked(&bitnami, Some(&debian)), ["Bitnami redis 7.2.4"]);
    for purl in ["pkg:rpm/almalinux/x@1", "pkg:generic/x@1", "no purl"] {
        assert!(inquire(&stated(purl), Some(&debian), now()).gap.is_some(), "{purl}");
    }
}

#[test]
fn a_package_without_a_known_source_is_asked_and_not_assessed() {
    let ubuntu = release("ubuntu", "24.04", "Ubuntu 24.04.1 LTS");
    let sliced = Package {
        notes: vec![SOURCE_UNKNOWN.to_owned()],
        ..package(Ecosystem::Deb, "libssl3t64", "3.0.13-0ubuntu3.4")
    };
    let inquiry = inquire(&sliced, Some(&ubuntu), now());
    assert!(!inquiry.questions.is_empty());
    assert_eq!(inquiry.gap, Some(Gap::NoSourcePackage));
}

/// Case 19: a kernel's headers hold none of its code.
#[test]
fn kernel_headers_are_known() {
    let debian = release("debian", "12", "");
    let check = |name: &str, expected: bool| {
        let package = package(Ecosystem::Deb, name, "6.1.119-1");
        let inquiry = inquire(&package, Some(&debian), now());
        assert_eq!(inquiry.is_kernel_headers, expected, "{name}");
    };
    check("linux-libc-dev", true);
    check("linux-headers-6.1.0-28-common", true);
    check("kernel-headers", true);
    check("linux-image-6.1.0-28-amd64", false);
    check("linux-libc-dev-cross", false);
}

#[test]
fn purls_of_others_are_read() {
    let check = |purl: &str, expected: &[&str]| {
        let (package, release) = from_purl(purl).unwrap();
        assert_eq!(asked(&package, release.as_ref()), expected, "{purl}");
    };
    check(
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12&upstream=glibc",
        &["Debian:12 glibc 2.36-9+deb12u10"],
    );
    check(
        "pkg:deb/debian/bsdutils@1:2.38.1-5%2Bb1?distro=debian-12&upstream=util-linux%402.38.1-5",
        &["Debian:12 util-linux 2.38.1-5"],
    );
    check("pkg:deb/ubuntu/bash@5.1?distro=ubuntu-22.04", &["Ubuntu:22.04 bash 5.1"]);
    check(
        "pkg:apk/alpine/libssl3@3.1.4-r2?distro=alpine-3.22.0&upstream=openssl",
        &["Alpine:v3.22 openssl 3.1.4-r2"],
    );
    check("pkg:apk/alpine/musl@1.2-r0?distro=3.22.1", &["Alpine:v3.22 musl 1.2-r0"]);
    check("pkg:apk/wolfi/musl@1.2-r0?distro=wolfi-20230201", &["Wolfi musl 1.2-r0"]);
    check(
        "pkg:rpm/redhat/dbus@1.12-8.el9?arch=x86_64&distro=rhel-9.4&epoch=1",
        &[
            "Red Hat:enterprise_linux:9::baseos dbus 1:1.12-8.el9",
            "Red Hat:enterprise_linux:9::appstream dbus 1:1.12-8.el9",
        ],
    );
    check(
        "pkg:rpm/opensuse/libz1@1.2-1?distro=opensuse-leap-15.6&upstream=zlib-1.2-1.src.rpm",
        &["openSUSE:Leap 15.6 zlib 1.2-1"],
    );
    check(
        "pkg:rpm/suse/libz1@1.2-1?distro=sles-15.5&upstream=zlib-1.2-1.src.rpm",
        &["SUSE:Linux Enterprise Server 15 SP5 zlib 1.2-1"],
    );
    check("pkg:npm/%40babel/core@7.1.0", &["npm @babel/core 7.1.0"]);
    check(
        "pkg:golang/github.com/opencontainers/runc@v1.0.1",
        &["Go github.com/opencontainers/runc 1.0.1"],
    );
    check("pkg:golang/stdlib@1.22.4", &["Go stdlib 1.22.4"]);
    // No advisory is kept under another spelling.
    check(
        "pkg:golang/github.com/BurntSushi/toml@v1.2.1?goos=Linux#cmd/Toml",
        &["Go github.com/BurntSushi/toml 1.2.1"],
    );
    check(
        "pkg:Golang//github.com/Azure/go%2Dautorest@v14.2.0",
        &["Go github.com/Azure/go-autorest 14.2.0"],
    );
    check("pkg://golang/github.com/Masterminds/semver@v3", &["Go github.com/Masterminds/semver 3"]);
    check("pkg:npm/JSONStream@1.3.5", &["npm JSONStream 1.3.5"]);
    check("pkg:npm/%40Made/Up@1.0.0", &["npm @Made/Up 1.0.0"]);
    check("pkg:maven/org.slf4j/slf4j-api@2.0.1", &["Maven org.slf4j:slf4j-api 2.0.1"]);
    check("pkg:composer/psr/log@3.0.0", &["Packagist psr/log 3.0.0"]);
    let gap = |purl: &str| from_purl(purl).unwrap_err().to_string();
    assert_eq!(gap("no purl"), "its purl cannot be read");
    assert_eq!(gap("pkg:generic/x@1"), "no source has advisories for `generic`");
    let (package, release) = from_purl("pkg:deb/debian/a@1").unwrap();
    assert!(super::tests::gap(&package, release.as_ref()).contains("without a number"));
    let (modular, _) =
        from_purl("pkg:rpm/almalinux/postgresql@12?rpmmod=postgresql:12&distro=almalinux-8")
            .unwrap();
    assert_eq!(modular.qualifiers, [("rpmmod", "postgresql:12".to_owned())]);
}

/// Case 12: only a program's own build information tells which standard library is in it.
#[test]
fn a_toolchain_that_lies_in_an_image_is_no_standard_library() {
    let go = package(Ecosystem::Generic, "go", "1.22.4");
    assert_eq!(asked(&go, None), Vec::<String>::new());
}
