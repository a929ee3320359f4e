//! What no copier is faster than: the same blobs from one registry to the other, through SHA-256, by
//! a program that does nothing else. It asks for nothing first, and continues nothing.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;

use aws_lc_rs::digest::{Context, SHA256};

/// As many streams as ours has.
const LARGE_AT_ONCE: usize = 4;
const SMALL_AT_ONCE: usize = 16;
const LARGE: u64 = 4 << 20;

/// A blob to be moved.
pub(crate) struct LimitBlob {
    pub(crate) digest: String,
    pub(crate) size: u64,
}

/// Copies from `host/name` to `host/name`, blobs as lines `DIGEST SIZE` of standard input.
pub(crate) fn run(from: &str, to: &str) {
    let blobs = std::io::stdin().lines().map(|line| {
        let line = line.unwrap();
        let (digest, size) = line.split_once(' ').unwrap();
        LimitBlob { digest: digest.to_owned(), size: size.parse().unwrap() }
    });
    let (mut large, small): (Vec<LimitBlob>, Vec<LimitBlob>) =
        blobs.partition(|blob| blob.size >= LARGE);
    large.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    let (large, small) = (Mutex::new(VecDeque::from(large)), Mutex::new(VecDeque::from(small)));
    std::thread::scope(|scope| {
        for (queue, threads) in [(&large, LARGE_AT_ONCE), (&small, SMALL_AT_ONCE)] {
            for _ in 0..threads {
                scope.spawn(|| {
                    let (mut source, mut there) = (Line::to(from), Line::to(to));
                    while let Some(blob) = { queue.lock().unwrap().pop_front() } {
                        carry(&mut source, &mut there, &blob);
                    }
                });
            }
        }
    });
}

/// A connection that stays open, to one repository.
struct Line {
    stream: BufReader<TcpStream>,
    host: String,
    name: String,
}

impl Line {
    fn to(place: &str) -> Self {
        let (host, name) = place.split_once('/').unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::with_capacity(64 << 10, stream);
        Self { stream, host: host.to_owned(), name: name.to_owned() }
    }

    fn send(&mut self, method: &str, path: &str, length: u64) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n",
            self.host
        );
        self.stream.get_mut().write_all(head.as_bytes()).unwrap();
    }

    /// `Location` and the length of the body that follows.
    fn head(&mut self) -> (String, u64) {
        let (mut location, mut length) = (String::new(), 0);
        let mut is_first = true;
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "the connection ended");
            let line = line.trim_end();
            if line.is_empty() {
                return (location, length);
            }
            assert!(!is_first || line.contains(" 20"), "{line}");
            is_first = false;
            let Some((name, value)) = line.split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "location" => value.clone_into(&mut location),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
    }

    fn empty(&mut self) -> String {
        let (location, length) = self.head();
        std::io::copy(&mut (&mut self.stream).take(length), &mut std::io::sink()).unwrap();
        location
    }
}

fn carry(source: &mut Line, there: &mut Line, blob: &LimitBlob) {
    let uploads = format!("/v2/{}/blobs/uploads/", there.name);
    there.send("POST", &uploads, 0);
    source.send("GET", &format!("/v2/{}/blobs/{}", source.name, blob.digest), 0);
    let place = there.empty();
    let (_, length) = source.head();
    assert_eq!(length, blob.size);
    let is_large = blob.size >= LARGE;
    let (method, path) = match is_large {
        true => ("PATCH", place.clone()),
        false => ("PUT", format!("{place}?digest={}", blob.digest)),
    };
    there.send(method, &path, length);
    let (mut hash, mut left) = (Context::new(&SHA256), length);
    let mut buffer = vec![0; 256 << 10];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = source.stream.read(&mut buffer[..most]).unwrap();
        assert!(read > 0, "the blob ended early");
        hash.update(&buffer[..read]);
        there.stream.get_mut().write_all(&buffer[..read]).unwrap();
        left -= read as u64;
    }
    let hashed = hash.finish();
    assert_eq!(format!("sha256:{}", hex::encode(hashed.as_ref())), blob.digest);
    there.empty();
    if is_large {
        there.send("PUT", &format!("{place}?digest={}", blob.digest), 0);
        there.empty();
    }
}
