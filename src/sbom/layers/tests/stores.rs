//! What lies in a store tells the same in layers as in the root file system that they make.

use super::*;

const OPENSSL: &str = "nix/store/ysx8xjm7f6y2qypn9zh3wd9m5w3zqr9q-openssl-3.0.13";
const GLIBC: &str = "nix/store/0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r-glibc-2.38-44";
const OF_OPENSSL: &str = "pkg:nix/openssl@3.0.13?outputhash=ysx8xjm7f6y2qypn9zh3wd9m5w3zqr9q";
const OF_GLIBC: &str = "pkg:nix/glibc@2.38-44?outputhash=0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r";

#[test]
fn a_store_path_is_told_whatever_lies_in_it() {
    let of = |store: &str, name: &str| file(&format!("{store}/{name}"), "x");
    check(&[vec![of(OPENSSL, "lib/libssl.so.3")]], &[OF_OPENSSL]);
    let both = || vec![of(OPENSSL, "bin/a"), of(OPENSSL, "lib/b"), of(GLIBC, "lib/c")];
    check(&[both()], &[OF_GLIBC, OF_OPENSSL]);
    // Half of it, and then all of it.
    check(&[both(), vec![Whiteout(format!("{OPENSSL}/bin"))]], &[OF_GLIBC, OF_OPENSSL]);
    check(&[both(), vec![Whiteout(OPENSSL.to_owned())]], &[OF_GLIBC]);
    check(&[both(), vec![Whiteout("nix/store".to_owned())]], &[]);
    let target = format!("{OPENSSL}/bin/a");
    check(
        &[vec![of(OPENSSL, "bin/a"), Hard(format!("{GLIBC}/bin/a"), target.clone())]],
        &[OF_GLIBC, OF_OPENSSL],
    );
    check(
        &[vec![of(OPENSSL, "bin/a")], vec![Hard(format!("{GLIBC}/bin/a"), target)]],
        &[OF_GLIBC, OF_OPENSSL],
    );
    check(
        &[vec![Link(format!("{GLIBC}/lib"), format!("/{OPENSSL}/lib")), of(OPENSSL, "lib/a")]],
        &[OF_GLIBC, OF_OPENSSL],
    );
    let manifest = file(&format!("{GLIBC}/lib/package.json"), npm("a"));
    check(&[vec![manifest]], &[OF_GLIBC, "pkg:npm/a@1.0.0"]);
}
