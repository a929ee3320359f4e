//! The kinds of programs that are known by their text, and where each has its version. It reads
//! nothing.

/// One kind of program.
pub(super) struct ProgramClass {
    pub(super) package: &'static str,
    /// File names; `*` stands for anything.
    pub(super) files: &'static [&'static str],
    /// The first that matches tells the version in its group; `{}` is the version in the file's
    /// name.
    pub(super) patterns: &'static [&'static str],
}

pub(super) const CLASSES: &[ProgramClass] = &[
    ProgramClass {
        package: "node",
        files: &["node"],
        patterns: &[r"node\.js/v(\d+\.\d+\.\d+)", r"\x00(?:node )?v([0-6]\.\d+\.\d+)\x00"],
    },
    ProgramClass {
        package: "python",
        files: &["python*.*", "libpython*.*.so*"],
        // Linkers may let the text be the end of another one, such as that of a path.
        patterns: &[
            r"\x00({}\.\d+(?:(?:a|b|rc)\d+)?\+?)\x00",
            r"[^\d.]({}\.\d+(?:(?:a|b|rc)\d+)?\+?)\x00",
        ],
    },
    ProgramClass {
        package: "redis",
        files: &["redis-server"],
        // Version, host and time of the build follow each other without a gap.
        patterns: &[
            r"[^\d](\d+\.\d+\.\d+)(?:buildkitsandbox|[0-9a-f]{12})-\d{10}",
            r"Redis version (\d+\.\d+\.\d+)",
        ],
    },
    ProgramClass {
        package: "valkey",
        files: &["valkey-server"],
        patterns: &[r"[^\d](\d+\.\d+\.\d+)(?:buildkitsandbox|[0-9a-f]{12})-\d{10}"],
    },
    ProgramClass {
        package: "memcached",
        files: &["memcached"],
        patterns: &[r"memcached (\d+\.\d+\.\d+)"],
    },
    ProgramClass {
        package: "nginx",
        files: &["nginx"],
        patterns: &[r"nginx(?: version: [^/\x00]{1,40})?/(\d+\.\d+\.\d+)"],
    },
    ProgramClass {
        package: "httpd",
        files: &["httpd", "apache2"],
        patterns: &[r"Apache/(\d+\.\d+\.\d+)"],
    },
    ProgramClass {
        package: "haproxy",
        files: &["haproxy"],
        patterns: &[
            r"version (\d+\.\d+(?:\.|-dev|-rc)\d+)(?:-[0-9a-f]{7,10})?, released 20",
            r"HA-Proxy version (\d+\.\d+(?:\.|-dev)\d+)",
            r"\x00(\d+\.\d+(?:\.|-dev)\d+)-[0-9a-f]{7,10}\x00",
        ],
    },
    ProgramClass {
        package: "postgresql",
        files: &["postgres"],
        patterns: &[r"PostgreSQL (\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d+)?)[ \x00]"],
    },
    ProgramClass {
        package: "mariadb",
        files: &["mariadb", "mariadbd", "mysql", "mysqld"],
        patterns: &[r"[^\d.](\d+\.\d+\.\d+)-MariaDB"],
    },
    ProgramClass {
        package: "mysql",
        files: &["mysql", "mysqld"],
        patterns: &[r"/mysql-(\d+\.\d+\.\d+)", r"\x00(\d+\.\d+\.\d+)\x00+mysql_real_esc"],
    },
    ProgramClass {
        package: "openssl",
        files: &["openssl", "libcrypto*.so*", "libssl*.so*"],
        patterns: &[r"\x00OpenSSL (\d+\.\d+\.\d+(?:[a-z]{1,2}|-(?:alpha|beta|rc)\d+)?) "],
    },
    ProgramClass {
        package: "perl",
        files: &["perl", "perl5.*"],
        patterns: &[r"/lib/perl5?/(5\.\d+\.\d+)"],
    },
    ProgramClass {
        package: "ruby",
        files: &["ruby", "libruby.so*"],
        patterns: &[r"ruby (\d+\.\d+\.\d+(?:(?:p|preview|rc|dev)\d*)?) \("],
    },
    ProgramClass {
        package: "php-cli",
        files: &["php"],
        patterns: &[r"X-Powered-By: PHP/(\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)"],
    },
    ProgramClass {
        package: "php-fpm",
        files: &["php-fpm*"],
        patterns: &[r"X-Powered-By: PHP/(\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)"],
    },
    ProgramClass {
        package: "libphp",
        files: &["libphp*.so"],
        patterns: &[r"X-Powered-By: PHP/(\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)"],
    },
    // What the program and the library tell servers and people of themselves.
    ProgramClass {
        package: "curl",
        files: &["curl", "libcurl*.so*"],
        patterns: &[r"libcurl/(\d+\.\d+\.\d+)[ \x00]", r"\x00curl (\d+\.\d+\.\d+) \("],
    },
    ProgramClass {
        package: "bash",
        files: &["bash"],
        patterns: &[r"@\(#\)Bash version (\d+\.\d+\.\d+)\(\d+\) "],
    },
    ProgramClass {
        package: "zlib",
        files: &["libz.so*"],
        patterns: &[r" (?:de|in)flate (\d+\.\d+(?:\.\d+){0,2}) Copyright 1995-\d{4} "],
    },
    ProgramClass {
        package: "ffmpeg",
        files: &["ffmpeg", "ffprobe", "libavutil.so*"],
        patterns: &[r"FFmpeg version n?(\d+\.\d+(?:\.\d+)?)"],
    },
    ProgramClass {
        package: "openssh",
        files: &["ssh", "sshd"],
        patterns: &[r"OpenSSH_(\d+\.\d+p\d+)"],
    },
    ProgramClass {
        package: "lighttpd",
        files: &["lighttpd"],
        patterns: &[r"lighttpd/(\d+\.\d+\.\d+)"],
    },
    ProgramClass { package: "xz", files: &["xz"], patterns: &[r"xz \(XZ Utils\) (\d+\.\d+\.\d+)"] },
    ProgramClass {
        package: "lua",
        files: &["lua", "lua5.*", "luac*", "liblua*.so*"],
        patterns: &[r"Lua (5\.\d+\.\d+)  Copyright \(C\)"],
    },
    ProgramClass {
        package: "luajit",
        files: &["luajit*", "libluajit*.so*"],
        patterns: &[r"LuaJIT (2\.\d+\.\d+(?:-(?:beta|rc)\d+)?)[ \x00]"],
    },
    ProgramClass {
        package: "tini",
        files: &["tini*"],
        patterns: &[r"tini version (\d+\.\d+\.\d+)"],
    },
    ProgramClass {
        package: "imagemagick",
        files: &["magick", "convert", "libMagickCore*.so*"],
        patterns: &[r"ImageMagick (\d+\.\d+\.\d+-\d+) Q\d+"],
    },
    ProgramClass {
        package: "libpng",
        files: &["libpng*.so*"],
        patterns: &[r"libpng version (1\.\d+\.\d+)"],
    },
    ProgramClass {
        package: "expat",
        files: &["libexpat.so*"],
        patterns: &[r"\x00expat_(\d+\.\d+\.\d+)\x00"],
    },
    ProgramClass {
        package: "dnsmasq",
        files: &["dnsmasq"],
        patterns: &[r"\x00dnsmasq-(\d+\.\d+)\x00"],
    },
    ProgramClass {
        package: "openvpn",
        files: &["openvpn"],
        patterns: &[r"OpenVPN (\d+\.\d+\.\d+) "],
    },
    ProgramClass {
        package: "busybox",
        files: &["busybox"],
        patterns: &[r"BusyBox v(\d+\.\d+\.\d+)"],
    },
];
