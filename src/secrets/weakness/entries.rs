//! An entry of a layer → what its mode lets others do. It reads no contents.

use super::{Gravity, WeakPlace, Weakness, weakness};

/// What matters of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerEntry<'a> {
    pub path: &'a str,
    /// With the bits for setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u64,
    pub kind: LayerEntryKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerEntryKind {
    File,
    Directory,
    /// Links and devices, whose modes say nothing here.
    Other,
}

const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const STICKY: u32 = 0o1000;
const RUN_BY_ANY: u32 = 0o0111;
const WRITTEN_BY_ALL: u32 = 0o0002;

/// Programs of distributions that cannot do without, and what starts with more rights than it ends.
const USUAL: [&str; 14] = [
    "bin/su",
    "bin/mount",
    "bin/umount",
    "bin/passwd",
    "bin/chsh",
    "bin/chfn",
    "bin/newgrp",
    "bin/gpasswd",
    "bin/chage",
    "bin/expiry",
    "sbin/unix_chkpwd",
    "bin/wall",
    "bin/write",
    "sbin/pam_timestamp_check",
];

/// At most two: what it may do, and who may change it.
pub fn of_entry(entry: &LayerEntry<'_>) -> Vec<Weakness> {
    let place = || WeakPlace::Entry(entry.path.to_owned());
    let mut found = Vec::new();
    let sets = entry.mode & (SET_USER | SET_GROUP) != 0 && entry.mode & RUN_BY_ANY != 0;
    if entry.kind == LayerEntryKind::File && sets {
        let path = entry.path.trim_start_matches('/').trim_start_matches("usr/");
        let of_root = if entry.uid == 0 { "root" } else { "another user" };
        let (bit, whose) = match entry.mode & SET_USER != 0 {
            true => ("setuid", of_root),
            false => ("setgid", "its group"),
        };
        let gravity = if USUAL.contains(&path) { Gravity::Note } else { Gravity::Warning };
        found.push(weakness(
            bit,
            gravity,
            place(),
            format!("whoever runs it has the permissions of {whose}"),
            "Remove the bit (`chmod a-s`), or leave the program out.",
        ));
    }
    let is_shared = entry.mode & WRITTEN_BY_ALL != 0;
    match entry.kind {
        LayerEntryKind::Directory if is_shared && entry.mode & STICKY == 0 => found.push(weakness(
            "world-writable-directory",
            Gravity::Warning,
            place(),
            "every user may delete and replace what is in it",
            "Give it one owner, or the sticky bit (`chmod 1777`).",
        )),
        LayerEntryKind::File if is_shared => found.push(weakness(
            "world-writable-file",
            Gravity::Warning,
            place(),
            "every user may change it",
            "Remove that permission (`chmod o-w`).",
        )),
        _ => {}
    }
    found
}
