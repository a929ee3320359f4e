//! The table of matchers, one entry each. It reads nothing: it names the function that does.

use super::{FileFacts, MIB, MalformedDatabase, Matcher, MatcherWants, Oversize};
use super::{
    alpm, apk, binary, brew, cargo, chisel, composer, conan, copyright, cran, dotnet, dpkg,
    elf_note, gem, golang, graalvm, java, kernel, lock, lua, model, npm, opkg, os_release, otp,
    pear, php_extension, portage, python, rpm, sdist, snap, start, stated, unpacked, wheel,
    wordpress, yarn_cache,
};

/// One of files that are read as a whole, and told of where they are too large.
const fn whole(
    name: &'static str,
    looks_for: Option<&'static str>,
    matches: fn(&str) -> bool,
    cap: u64,
    read: fn(&str, &[u8]) -> Result<FileFacts, MalformedDatabase>,
) -> Matcher {
    Matcher {
        name,
        looks_for,
        wants: MatcherWants::Path { matches, cap, oversize: Oversize::Warn, read },
    }
}

/// Every matcher. A path is read by the first that wants it, an executable by all that want it.
pub const MATCHERS: &[Matcher] = &[
    Matcher {
        name: "dpkg",
        looks_for: Some("Debian packages in **/lib/dpkg/status and **/lib/dpkg/status.d/*"),
        wants: MatcherWants::Path {
            matches: dpkg::is_database,
            cap: 64 * MIB,
            oversize: Oversize::Refuse,
            read: dpkg::read,
        },
    },
    Matcher {
        name: "apk",
        looks_for: Some("Alpine packages in **/lib/apk/db/installed"),
        wants: MatcherWants::Path {
            matches: apk::is_database,
            cap: 64 * MIB,
            oversize: Oversize::Refuse,
            read: apk::read,
        },
    },
    Matcher {
        name: "rpm",
        looks_for: Some(
            "rpm packages in **/{var/lib,usr/share,usr/lib/sysimage}/rpm/{rpmdb.sqlite,Packages.db,Packages} and **/var/lib/rpmmanifest/container-manifest-2",
        ),
        wants: MatcherWants::Path {
            matches: rpm::is_database,
            cap: 512 * MIB,
            oversize: Oversize::Refuse,
            read: rpm::read,
        },
    },
    Matcher {
        name: "npm",
        looks_for: Some("Node packages in **/package.json with a name and a version"),
        wants: MatcherWants::Path {
            matches: npm::is_manifest,
            cap: 4 * MIB,
            oversize: Oversize::Warn,
            read: npm::read,
        },
    },
    Matcher {
        name: "python",
        looks_for: Some(
            "Python packages in **/*.dist-info/METADATA, **/*.egg-info/PKG-INFO and **/*.egg-info",
        ),
        wants: MatcherWants::Path {
            matches: python::is_metadata,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: python::read,
        },
    },
    Matcher {
        name: "conda",
        looks_for: Some("Conda packages in **/conda-meta/*.json"),
        wants: MatcherWants::Path {
            matches: python::is_conda_record,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: python::read_conda,
        },
    },
    Matcher {
        name: "java",
        looks_for: Some(
            "Java packages in jar, war, ear, rar and similar archives, and in archives inside of them",
        ),
        wants: MatcherWants::Opened { matches: java::is_archive, read: java::read },
    },
    Matcher {
        name: "gem",
        looks_for: Some("Ruby gems in **/specifications/**/*.gemspec"),
        wants: MatcherWants::Path {
            matches: gem::is_specification,
            cap: 4 * MIB,
            oversize: Oversize::Warn,
            read: gem::read,
        },
    },
    Matcher {
        name: "composer",
        looks_for: Some("PHP packages in **/composer/installed.json"),
        wants: MatcherWants::Path {
            matches: composer::is_record,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: composer::read,
        },
    },
    Matcher {
        name: "dotnet",
        looks_for: Some(".NET packages in **/*.deps.json, beside programs and inside them"),
        wants: MatcherWants::Path {
            matches: dotnet::is_manifest,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: dotnet::read,
        },
    },
    whole(
        "alpm",
        Some("Arch Linux packages in **/lib/pacman/local/*/desc"),
        alpm::is_description,
        MIB,
        alpm::read,
    ),
    whole("alpm-files", None, alpm::is_list, 64 * MIB, alpm::read_list),
    whole(
        "portage",
        Some("Gentoo packages in **/var/db/pkg/*/*"),
        portage::is_fact,
        64 * MIB,
        portage::read,
    ),
    whole(
        "opkg",
        Some("packages of OpenWrt and Yocto in **/lib/opkg/status and **/lib/opkg/info/*.control"),
        opkg::is_database,
        64 * MIB,
        opkg::read,
    ),
    whole("opkg-files", None, opkg::is_list, 64 * MIB, opkg::read_list),
    whole(
        "chisel",
        Some("Debian packages of which Chisel cut slices, in **/manifest.wall"),
        chisel::is_manifest,
        16 * MIB,
        chisel::read,
    ),
    whole(
        "cran",
        Some("R packages in **/DESCRIPTION of libraries"),
        cran::is_description,
        4 * MIB,
        cran::read,
    ),
    whole(
        "luarocks",
        Some("Lua rocks in the trees of LuaRocks"),
        lua::is_record,
        4 * MIB,
        lua::read,
    ),
    whole(
        "otp",
        Some("Erlang and Elixir applications in **/ebin/*.app"),
        otp::is_resource,
        4 * MIB,
        otp::read,
    ),
    whole(
        "pear",
        Some("PEAR and PECL packages in **/.registry/**/*.reg"),
        pear::is_entry,
        4 * MIB,
        pear::read,
    ),
    whole(
        "wordpress",
        Some("WordPress, its plugins and themes in **/wp-content and **/wp-includes"),
        wordpress::is_header,
        16 * MIB,
        wordpress::read,
    ),
    whole(
        "bitnami",
        Some("Bitnami components in **/.bitnami_components.json"),
        stated::is_components,
        4 * MIB,
        stated::read_components,
    ),
    whole(
        "sbom",
        Some(
            "what SBOMs in the image state: **/.spdx-*.spdx, **/var/lib/db/sbom, **/*.dist-info/sboms, **/layers/sbom, **/*.spdx.json and **/*.cdx.json",
        ),
        stated::is_document,
        16 * MIB,
        stated::read,
    ),
    whole(
        "lock",
        Some(
            "in a directory without an operating system, what lock files name: those of npm, Yarn, pnpm, Bun, Deno, Cargo, Go, Python, Ruby, Composer, Gradle, NuGet, Mix, Dart, Swift, CocoaPods, Conan and renv",
        ),
        lock::is_lock,
        16 * MIB,
        lock::read,
    ),
    whole("python-requests", None, python::is_request, 4096, python::read_request),
    whole("gradle-module", None, java::module::is_module, 4 * MIB, java::module::read),
    whole(
        "brew",
        Some("Homebrew packages in **/Cellar/*/*"),
        brew::is_receipt,
        4 * MIB,
        brew::read,
    ),
    whole(
        "hex",
        Some("packages of Hex in **/hex_metadata.config"),
        unpacked::is_of_hex,
        MIB,
        unpacked::read_hex,
    ),
    whole(
        "pub",
        Some("Dart packages in **/hosted/*/*/pubspec.yaml"),
        unpacked::is_of_pub,
        MIB,
        unpacked::read_pub,
    ),
    whole("conan", Some("Conan packages in **/conaninfo.txt"), conan::is_record, MIB, conan::read),
    whole(
        "snap",
        Some("snaps in **/meta/snap.yaml and **/snap/manifest.yaml"),
        snap::is_record,
        4 * MIB,
        snap::read,
    ),
    whole("model-cache", None, model::is_reference, 4096, model::read_reference),
    Matcher {
        name: "kernel-module",
        looks_for: None,
        wants: MatcherWants::Opened { matches: kernel::is_module, read: kernel::read_module },
    },
    Matcher {
        name: "php-extension",
        looks_for: Some("PHP extensions in **/php*/**/*.so"),
        wants: MatcherWants::Opened {
            matches: php_extension::is_extension,
            read: php_extension::read,
        },
    },
    Matcher {
        name: "otp-archive",
        looks_for: None,
        wants: MatcherWants::Opened { matches: otp::is_archive, read: otp::read_archive },
    },
    Matcher {
        name: "model",
        looks_for: Some(
            "models in **/*.gguf and **/*.safetensors by their headers, and in the cache of Hugging Face",
        ),
        wants: MatcherWants::Scanned {
            matches: model::is_model,
            scanner: model::scanner,
            alike: model::are_alike,
        },
    },
    Matcher {
        name: "kernel",
        looks_for: Some(
            "Linux kernels in **/vmlinuz* and **/bzImage*, and modules of others in **/lib/modules",
        ),
        wants: MatcherWants::Scanned {
            matches: kernel::is_kernel,
            scanner: kernel::scanner,
            alike: start::are_alike,
        },
    },
    Matcher {
        name: "elf-note",
        looks_for: Some("what notes in ELF files state of their package"),
        wants: MatcherWants::Magic { matches: elf_note::is_executable, read: elf_note::read },
    },
    Matcher {
        name: "graalvm",
        looks_for: Some("what SBOMs in native images of GraalVM state"),
        wants: MatcherWants::Magic { matches: elf_note::is_executable, read: graalvm::read },
    },
    Matcher {
        name: "yarn-cache",
        looks_for: Some("Node packages in **/.yarn/cache/*.zip"),
        wants: MatcherWants::Opened { matches: yarn_cache::is_archive, read: yarn_cache::read },
    },
    Matcher {
        name: "sdist",
        looks_for: Some("Python packages in source archives, **/NAME-VERSION.tar.gz"),
        wants: MatcherWants::Scanned {
            matches: sdist::is_archive,
            scanner: sdist::scanner,
            alike: start::are_alike,
        },
    },
    Matcher {
        name: "wheel",
        looks_for: Some("Python packages in wheels and zipped eggs"),
        wants: MatcherWants::Opened { matches: wheel::is_archive, read: wheel::read },
    },
    Matcher {
        name: "store",
        // Told by names alone, in `collect` and `layers`.
        looks_for: Some("packages of Nix and Guix in **/nix/store/* and **/gnu/store/*"),
        wants: MatcherWants::Opened { matches: |_| false, read: |_, _| Ok(FileFacts::default()) },
    },
    Matcher {
        name: "go-buildinfo",
        looks_for: Some("Go modules in the build information of ELF, PE and Mach-O executables"),
        wants: MatcherWants::Magic { matches: golang::is_executable, read: golang::read },
    },
    Matcher {
        name: "cargo-auditable",
        looks_for: Some(
            "Rust crates in the .dep-v0 section of executables built with cargo-auditable",
        ),
        wants: MatcherWants::Magic { matches: golang::is_executable, read: cargo::read },
    },
    Matcher {
        name: "dotnet-bundle",
        looks_for: None,
        wants: MatcherWants::Magic { matches: dotnet::is_executable, read: dotnet::read_bundle },
    },
    Matcher {
        name: "dotnet-assembly",
        looks_for: Some(".NET assemblies that no *.deps.json names, by their version resources"),
        wants: MatcherWants::Magic { matches: dotnet::is_assembly, read: dotnet::read_assembly },
    },
    Matcher {
        name: "binary",
        looks_for: Some(
            "the programs node, python, redis, valkey, memcached, nginx, httpd, haproxy, postgresql, mysql, mariadb, openssl, perl, ruby, php, curl, bash, zlib, ffmpeg, openssh, lighttpd, xz, lua, luajit, tini, imagemagick, libpng, expat, dnsmasq, openvpn and busybox by the version text inside them, where no distribution package owns the file",
        ),
        wants: MatcherWants::Scanned {
            matches: binary::is_program,
            scanner: binary::scanner,
            alike: binary::are_alike,
        },
    },
    Matcher {
        name: "runtime",
        looks_for: Some("Go toolchains in **/go/VERSION and Java runtimes in **/release"),
        wants: MatcherWants::Path {
            matches: binary::is_text,
            cap: MIB,
            oversize: Oversize::Warn,
            read: binary::read_text,
        },
    },
    Matcher {
        name: "dpkg-files",
        looks_for: None,
        wants: MatcherWants::Path {
            matches: dpkg::is_list,
            cap: 64 * MIB,
            oversize: Oversize::Warn,
            read: dpkg::read_list,
        },
    },
    Matcher {
        name: "os-release",
        looks_for: None,
        wants: MatcherWants::Path {
            matches: os_release::is_release,
            cap: MIB,
            oversize: Oversize::Refuse,
            read: os_release::read,
        },
    },
    Matcher {
        name: "copyright",
        looks_for: None,
        wants: MatcherWants::Path {
            matches: copyright::is_copyright,
            cap: 16 * MIB,
            oversize: Oversize::Warn,
            read: copyright::read,
        },
    },
];
