//! Programs that were copied or compiled into the image, by the version text inside them. It runs
//! none of them, and lists none that a distribution's package owns.

use regex::bytes::Regex;

use super::classes::{CLASSES, ProgramClass};
use super::{FileFacts, MalformedDatabase, PieceScanner, ends_with_path, parent};
use crate::sbom::package::{Ecosystem, FoundPackage, Package, Supplier};

/// Whether a package's ownership of this file matters here.
pub(super) fn is_candidate(path: &str) -> bool {
    is_program(path)
        || is_text(path)
        || super::kernel::is_kernel(path)
        || super::kernel::is_module(path)
        || path.ends_with(".dll")
        || super::php_extension::is_extension(path)
}

pub(super) fn is_program(path: &str) -> bool {
    classes(path).next().is_some()
}

fn classes(path: &str) -> impl Iterator<Item = &'static ProgramClass> {
    let name = path.rsplit('/').next().unwrap_or_default();
    CLASSES.iter().filter(move |class| class.files.iter().any(|pattern| is_like(name, pattern)))
}

/// `*` stands for anything, and what is between two of them must come in this order.
fn is_like(name: &str, pattern: &str) -> bool {
    // Said at once for nearly all.
    if let Some(first) = pattern.bytes().next().filter(|first| *first != b'*')
        && name.bytes().next() != Some(first)
    {
        return false;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut ends = !pattern.contains('*') && rest.is_empty();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        ends = part.is_empty() || rest.is_empty();
    }
    ends || pattern.ends_with('*')
}

pub(super) fn scanner(path: &str) -> Box<dyn PieceScanner> {
    let searches = classes(path).map(|class| {
        let patterns: Vec<Regex> =
            class.patterns.iter().filter_map(|pattern| compiled(path, pattern)).collect();
        (class.package, vec![None; patterns.len()], patterns)
    });
    Box::new(BinarySearch {
        path: path.to_owned(),
        searches: searches.collect(),
        window: Vec::with_capacity(WINDOW + OVERLAP),
        fresh: 0,
        spent: 0,
    })
}

/// Whether a file tells the same under both names.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    let by_name = |path: &str| {
        classes(path).any(|class| class.patterns.iter().any(|pattern| pattern.contains("{}")))
    };
    let names = |path| classes(path).map(|class| class.package).collect::<Vec<_>>();
    names(one) == names(other) && (!by_name(one) || version_in_name(one) == version_in_name(other))
}

fn compiled(path: &str, pattern: &str) -> Option<Regex> {
    // Bytes that are no text are matched too, and `\d` means ASCII.
    let pattern = match pattern.contains("{}") {
        true => pattern.replace("{}", &regex::escape(&version_in_name(path)?)),
        false => pattern.to_owned(),
    };
    Regex::new(&format!("(?-u){pattern}")).ok()
}

/// `3.11` of `libpython3.11.so.1.0`.
fn version_in_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let digits = name.get(name.find(|letter: char| letter.is_ascii_digit())?..)?;
    let (major, rest) = digits.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let plain = major.chars().all(|letter| letter.is_ascii_digit()) && !minor.is_empty();
    plain.then(|| format!("{major}.{minor}"))
}

const WINDOW: usize = 1 << 20;
/// No version text is longer.
const OVERLAP: usize = 512;
const MOST: u64 = 1 << 30;

/// The package of a class, what each pattern found, and the patterns.
type ForClass = (&'static str, Vec<Option<String>>, Vec<Regex>);

/// Window by window, so that the size of a program does not matter to memory. The better pattern
/// wins over the earlier place.
struct BinarySearch {
    path: String,
    searches: Vec<ForClass>,
    window: Vec<u8>,
    /// Bytes in the window that were not searched.
    fresh: usize,
    spent: u64,
}

impl BinarySearch {
    fn look(&mut self, is_last: bool) {
        for (_, found, patterns) in &mut self.searches {
            for (pattern, version) in
                patterns.iter().zip(found).filter(|(_, version)| version.is_none())
            {
                let captures = pattern.captures(&self.window);
                // What touches the end may go on in the next window, which holds all of it again.
                let whole = captures.filter(|captures| {
                    is_last || captures.get(0).is_some_and(|all| all.end() < self.window.len())
                });
                let matched = whole.and_then(|captures| captures.get(1));
                *version =
                    matched.map(|matched| String::from_utf8_lossy(matched.as_bytes()).into_owned());
            }
        }
        self.window.drain(..self.window.len().saturating_sub(OVERLAP));
        self.fresh = 0;
    }
}

impl PieceScanner for BinarySearch {
    fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() && !self.is_done() {
            let (now, later) = piece.split_at(piece.len().min(WINDOW - self.fresh));
            self.window.extend_from_slice(now);
            self.fresh += now.len();
            self.spent += now.len() as u64;
            piece = later;
            if self.fresh == WINDOW {
                self.look(false);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.spent > MOST
            || self
                .searches
                .first()
                .is_none_or(|(_, found, _)| found.first().is_none_or(Option::is_some))
    }

    fn finish(&mut self) -> FileFacts {
        self.look(true);
        let found = self
            .searches
            .iter()
            .find_map(|(package, found, _)| Some((package, found.iter().flatten().next()?)));
        let package = found.map(|(name, version)| Package {
            version: Some(version.clone()),
            ..Package::named(Ecosystem::Generic, *name)
        });
        FileFacts {
            packages: package
                .map(|package| FoundPackage::alone(package, self.path.as_str()))
                .into_iter()
                .collect(),
            ..FileFacts::default()
        }
    }
}

/// Go's `VERSION` and a Java runtime's `release`, which name what is around them.
pub(super) fn is_text(path: &str) -> bool {
    path == "release" || path.ends_with("/release") || ends_with_path(path, "go/VERSION")
}

pub(super) fn read_text(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let package = if path.ends_with("VERSION") { go(&text) } else { java(path, &text) };
    Ok(FileFacts {
        packages: package
            .map(|package| FoundPackage::alone(package, parent(path)))
            .into_iter()
            .collect(),
        ..FileFacts::default()
    })
}

fn is_version(text: &str) -> bool {
    text.len() <= 80
        && text.starts_with(|letter: char| letter.is_ascii_digit())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._+-".contains(letter))
}

fn go(text: &str) -> Option<Package> {
    let version =
        text.lines().next()?.trim().strip_prefix("go").filter(|version| is_version(version))?;
    Some(Package { version: Some(version.to_owned()), ..Package::named(Ecosystem::Generic, "go") })
}

fn java(path: &str, text: &str) -> Option<Package> {
    let value = |key: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let version = value("JAVA_RUNTIME_VERSION").or_else(|| value("JAVA_VERSION"))?;
    // Oracle names its own builds so, and calls everybody else's OpenJDK.
    let oracle = value("BUILD_TYPE").as_deref() == Some("commercial");
    let is_jre = value("IMAGE_TYPE").as_deref() == Some("JRE")
        || parent(path).trim_end_matches('/').ends_with("jre");
    let name = match (oracle, is_jre) {
        (false, _) => "oracle/openjdk",
        (true, true) => "oracle/jre",
        (true, false) => "oracle/jdk",
    };
    is_version(&version).then(|| Package {
        version: Some(version.clone()),
        supplier: value("IMPLEMENTOR")
            .filter(|name| name != "N/A")
            .and_then(|name| Supplier::organization(&name)),
        ..Package::named(Ecosystem::Generic, name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(path: &str, bytes: &[u8]) -> Option<String> {
        let mut scanner = scanner(path);
        bytes.chunks(100_000).for_each(|piece| scanner.feed(piece));
        let found = scanner.finish().packages.pop()?.package;
        Some(format!("{}@{}", found.name, found.version.unwrap()))
    }

    #[test]
    fn every_pattern_is_valid_and_has_a_group() {
        for class in CLASSES {
            for pattern in class.patterns {
                assert_eq!(
                    compiled("python3.1", pattern).map(|pattern| pattern.captures_len()),
                    Some(2),
                    "{pattern}"
                );
            }
        }
    }

    #[test]
    fn programs_tell_their_version() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            assert_eq!(version(path, text.as_bytes()).as_deref(), expected, "{path} {text:?}");
        };
        check("usr/local/bin/node", "x\0node.js/v20.9.0\0", Some("node@20.9.0"));
        check("usr/local/bin/node", "\0v4.9.1\0", Some("node@4.9.1"));
        check("usr/local/bin/python3.11", "\x003.12.1\0\x003.11.6\0", Some("python@3.11.6"));
        check("usr/local/lib/libpython3.11.so.1.0", "\x003.11.6\0", Some("python@3.11.6"));
        check("opt/lib/libpython3.8.so", "/versions/3.8.18\0lib/", Some("python@3.8.18"));
        check("usr/local/bin/python3.13", "\x003.13.0rc2\0", Some("python@3.13.0rc2"));
        check(
            "usr/local/bin/redis-server",
            "%s\x007.2.3buildkitsandbox-1702957741000000000\0",
            Some("redis@7.2.3"),
        );
        check(
            "usr/local/bin/redis-server",
            "\x004.0.11841ce7054bd9-1542359302000000000",
            Some("redis@4.0.11"),
        );
        check(
            "usr/local/bin/valkey-server",
            "\x008.0.1buildkitsandbox-1702957741000000000\0",
            Some("valkey@8.0.1"),
        );
        check("usr/sbin/nginx", "\0nginx version: nginx/1.25.3\0", Some("nginx@1.25.3"));
        check("usr/sbin/nginx", "\0nginx version: openresty/1.21.4\0", Some("nginx@1.21.4"));
        check(
            "usr/lib/postgresql/15/bin/postgres",
            "\0PostgreSQL 15.5 (Debian)\0",
            Some("postgresql@15.5"),
        );
        check("usr/sbin/mysqld", "/pb2/build/mysql-8.0.35/sql/x.cc", Some("mysql@8.0.35"));
        check("usr/bin/mysql", "mysql-\0\x0010.11.6-MariaDB\0", Some("mariadb@10.11.6"));
        check("usr/bin/openssl", "\0OpenSSL 1.1.1w  11 Sep 2023\0", Some("openssl@1.1.1w"));
        check("usr/lib/libcrypto.so.3", "\0OpenSSL 3.1.4 24 Oct 2023\0", Some("openssl@3.1.4"));
        check("usr/local/bin/perl", "/usr/local/lib/perl5/5.38.0/x86_64", Some("perl@5.38.0"));
        check(
            "usr/local/bin/ruby",
            "ruby 3.2.2 (2023-03-30 revision e51014f9c0) [x86_64-linux]",
            Some("ruby@3.2.2"),
        );
        check("usr/local/bin/php", "X-Powered-By: PHP/8.2.13", Some("php-cli@8.2.13"));
        check("usr/local/sbin/php-fpm", "X-Powered-By: PHP/8.3.0RC1", Some("php-fpm@8.3.0RC1"));
        check("usr/local/apache2/bin/httpd", "Apache/2.4.58 (Unix)", Some("httpd@2.4.58"));
        check(
            "usr/local/sbin/haproxy",
            "HAProxy version 2.8.3-86e043a, released 2023/09/07",
            Some("haproxy@2.8.3"),
        );
    }

    #[test]
    fn libraries_and_tools_tell_their_version_and_others_do_not() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            assert_eq!(version(path, text.as_bytes()).as_deref(), expected, "{path} {text:?}");
        };
        check("usr/lib/libssl.so.3", "\0OpenSSL 3.0.13 30 Jan 2024\0", Some("openssl@3.0.13"));
        check("usr/lib/libcurl.so.4", "\0libcurl/8.5.0\0", Some("curl@8.5.0"));
        check("bin/curl", "\0curl 8.5.0 (x86_64-pc-linux-gnu) %s\n\0", Some("curl@8.5.0"));
        check("bin/curl", "Mozilla/5.0 curl 8.5.0\0", None);
        check("bin/bash", "@(#)Bash version 5.2.15(1) release GNU\0", Some("bash@5.2.15"));
        check("bin/bash", "GNU bash, version %s-(%s)\0", None);
        let deflate = " deflate 1.2.13 Copyright 1995-2022 Jean-loup Gailly and Mark Adler ";
        check("lib/libz.so.1", deflate, Some("zlib@1.2.13"));
        check("lib/libz.so.1", "deflate 1.2.13", None);
        check("usr/bin/ffmpeg", "FFmpeg version 6.0\0", Some("ffmpeg@6.0"));
        check("usr/lib/libavutil.so.57", "FFmpeg version n5.1.4\0", Some("ffmpeg@5.1.4"));
        check("usr/bin/ffmpeg", "FFmpeg version N-112\0", None);
        check("usr/sbin/sshd", "\0OpenSSH_9.6p1\0", Some("openssh@9.6p1"));
        check("usr/sbin/sshd", "\0OpenSSH_*\0", None);
        check("usr/sbin/lighttpd", "\0lighttpd/1.4.71\0", Some("lighttpd@1.4.71"));
        check("usr/sbin/lighttpd", "\0lighttpd\0", None);
        check("usr/bin/xz", "\0xz (XZ Utils) 5.4.1\n\0", Some("xz@5.4.1"));
        check("usr/bin/xz", "XZ Utils 5.4.1", None);
        let lua = "$LuaVersion: Lua 5.4.6  Copyright (C) 1994-2023 Lua.org, PUC-Rio $";
        check("usr/lib/liblua5.4.so.0", lua, Some("lua@5.4.6"));
        check("usr/bin/lua", "Lua 5.4", None);
        check("usr/bin/luajit", "\0LuaJIT 2.1.0-beta3\0", Some("luajit@2.1.0-beta3"));
        check("usr/bin/luajit", "\0LuaJIT 2\0", None);
        check("usr/bin/tini", "tini version 0.19.0 - git.de40ad0", Some("tini@0.19.0"));
        check("usr/bin/tini-static", "tini (%s)", None);
        let magick = "ImageMagick 7.1.1-29 Q16-HDRI x86_64 21991 https://imagemagick.org";
        check("usr/lib/libMagickCore-7.Q16HDRI.so.10", magick, Some("imagemagick@7.1.1-29"));
        check("usr/bin/convert", "ImageMagick 7", None);
        check(
            "lib/libpng16.so.16",
            "libpng version 1.6.39 - November 20, 2022\n",
            Some("libpng@1.6.39"),
        );
        check("lib/libpng16.so.16", "libpng version %s", None);
        check("lib/libexpat.so.1", "\0expat_2.5.0\0", Some("expat@2.5.0"));
        check("lib/libexpat.so.1", "expat_config", None);
        check("usr/sbin/dnsmasq", "\0dnsmasq-2.89\0", Some("dnsmasq@2.89"));
        check("usr/sbin/dnsmasq", "\0dnsmasq-%s\0", None);
        check("usr/sbin/openvpn", "\0OpenVPN 2.6.3 x86_64-pc-linux-gnu\0", Some("openvpn@2.6.3"));
        check("usr/sbin/openvpn", "\0OpenVPN core\0", None);
        check("bin/busybox", "BusyBox v1.36.1 (2023)", Some("busybox@1.36.1"));
        check("usr/local/bin/node", "nothing", None);
        check("usr/local/bin/other", "node.js/v20.9.0", None);
    }

    #[test]
    fn text_across_two_windows_is_found_and_scripts_have_no_version() {
        let mut bytes = vec![0xff; (1 << 20) - 9];
        bytes.extend(b"node.js/v20.9.0\0");
        bytes.extend(vec![0; 1 << 20]);
        assert_eq!(version("bin/node", &bytes).as_deref(), Some("node@20.9.0"));
    }

    #[test]
    fn names_are_matched_as_a_whole() {
        let check = |path: &str, expected: bool| assert_eq!(is_program(path), expected, "{path}");
        check("bin/python3.11", true);
        check("bin/python3", false);
        check("lib/libpython3.11.so.1.0", true);
        check("lib/libpython3.so", false);
        check("bin/node", true);
        check("bin/nodes", false);
        check("lib/libcrypto.so.1.1", true);
        check("lib/libcryptox.a", false);
    }

    #[test]
    fn go_and_java_describe_themselves() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            let found = read_text(path, text.as_bytes())
                .unwrap()
                .packages
                .pop()
                .map(|found| crate::sbom::purl::of(&found.package, None));
            assert_eq!(found.as_deref(), expected, "{path}");
        };
        check(
            "usr/local/go/VERSION",
            "go1.21.3\ntime 2023-10-09T17:04:35Z\n",
            Some("pkg:generic/go@1.21.3"),
        );
        check("opt/x/go/VERSION", "devel +abc\n", None);
        let temurin = "IMPLEMENTOR=\"Eclipse Adoptium\"\nIMAGE_TYPE=\"JRE\"\nJAVA_RUNTIME_VERSION=\"17.0.9+9\"\nJAVA_VERSION=\"17.0.9\"\n";
        check("opt/java/openjdk/release", temurin, Some("pkg:generic/oracle/openjdk@17.0.9%2B9"));
        check(
            "opt/jdk/release",
            "JAVA_VERSION=\"21.0.1\"\nBUILD_TYPE=\"commercial\"\n",
            Some("pkg:generic/oracle/jdk@21.0.1"),
        );
        check("etc/release", "DISTRIB_ID=Ubuntu\n", None);
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), name in "(python|libpython|node)?[0-9.é]{0,5}(\\.so)?") {
            let _version = version(&name, &bytes);
            let _facts = read_text(&name, &bytes).unwrap();
        }
    }
}
