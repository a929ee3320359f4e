//! Hard links of a layer to files of layers below, under names that links or further hard links give.

use super::*;

fn hard(path: &str, target: &str) -> Op {
    Hard(path.into(), target.into())
}

const STATUS: &str = "Package: a\nVersion: 1\n";

/// Found by chance: the directory of the database is a link that leads nowhere below.
#[test]
fn a_database_that_is_a_hard_link_in_a_linked_directory_is_read() {
    let below = || vec![file("lib/kept", STATUS), Link("var/lib/dpkg".into(), "usr/lib".into())];
    let above = hard("var/lib/dpkg/status", "lib/kept");
    let expected = &["pkg:deb/debian/a@1"];
    check(&[below(), vec![above.clone()]], expected);
    // What the link is to may go: its bytes stay.
    check(&[below(), vec![above.clone()], vec![Whiteout("lib/kept".into())]], expected);
    check(&[below(), vec![above.clone()], vec![file("lib/kept", "other")]], expected);
    // And what is a database no more is none.
    check(&[below(), vec![above.clone()], vec![Whiteout("var/lib/usr/lib/status".into())]], &[]);
    check(
        &[below(), vec![above], vec![file("var/lib/dpkg/status", "Package: b\nVersion: 2\n")]],
        &["pkg:deb/debian/b@2"],
    );
}

#[test]
fn what_is_no_database_there_is_refused_as_in_a_root_file_system() {
    let image = [
        vec![file("lib/kept", npm("a")), Link("var/lib/dpkg".into(), "usr/lib".into())],
        vec![hard("var/lib/dpkg/status", "lib/kept")],
    ];
    let root = unpacked(&image).unwrap();
    assert!(Catalog::of(&Rootfs::new(root.path())).is_err());
    assert!(matches!(layered(&image), Err(SbomError::Malformed { .. })));
}

#[test]
fn hard_links_to_hard_links_of_other_layers_have_the_bytes_of_the_lowest() {
    let chain = [
        vec![file("store/1", npm("a"))],
        vec![hard("store/2", "store/1")],
        vec![hard("app/package.json", "store/2")],
        vec![Whiteout("store".into())],
    ];
    check(&chain, &["pkg:npm/a@1.0.0"]);
    let database = [
        vec![file("store/1", STATUS)],
        vec![hard("store/2", "store/1")],
        vec![Link("var/lib/dpkg/status".into(), "/store/2".into())],
    ];
    check(&database, &["pkg:deb/debian/a@1"]);
    let directory = [
        vec![file("store/1", STATUS), Link("var/lib/dpkg".into(), "/opt/state".into())],
        vec![hard("store/2", "store/1")],
        vec![hard("opt/state/status", "store/2")],
    ];
    check(&directory, &["pkg:deb/debian/a@1"]);
}
