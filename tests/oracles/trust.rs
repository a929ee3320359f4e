//! cosign and we take the same trust from the same TUF repository: what is published with it
//! verifies without a word about keys or files.

use tokio::runtime::Runtime;

use crate::support::{accepts, judge, publish, tool, world};
use crate::tuf_repository::{FAR, Repository, SIGNING_CONFIG, TRUSTED_ROOT};

#[test]
fn cosign_initialized_from_the_repository_accepts_what_we_published_with_it() {
    let runtime = Runtime::new().unwrap();
    let mut repository = runtime.block_on(Repository::start());
    let sandbox = &world().sandbox;
    let read = |file: &std::path::Path| std::fs::read(file).unwrap();
    repository.serve(
        1,
        FAR,
        &[
            (TRUSTED_ROOT, read(sandbox.trusted_root())),
            (SIGNING_CONFIG, read(sandbox.signing_config())),
        ],
    );
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("root.json");
    std::fs::write(&root, repository.root()).unwrap();
    let (root, image) = (root.to_str().unwrap(), format!("{}/hello-tuf", sandbox.registry()));
    let change = [
        ("INPUT_TUF-MIRROR", repository.url.as_str()),
        ("INPUT_TUF-ROOT", root),
        ("XDG_CACHE_HOME", home.path().to_str().unwrap()),
        ("INPUT_SIGNING-CONFIG", ""),
        ("INPUT_TRUSTED-ROOT", ""),
        ("SUPPLY_ACTION_SIGNING_CONFIG", ""),
        ("SUPPLY_ACTION_TRUSTED_ROOT", ""),
    ];
    let run = publish("hello", &image, &change);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let evidence = run.json("evidence");
    let signer = |field: &str| evidence["signer"][field].as_str().unwrap().to_owned();
    let (identity, issuer) = (signer("identity"), signer("issuer"));
    let (home, cosign) = (format!("HOME={}", home.path().display()), tool("COSIGN3"));
    let cosign = [home.as_str(), cosign.to_str().unwrap()];
    let verify = [
        "verify",
        "--certificate-identity",
        &identity,
        "--certificate-oidc-issuer",
        &issuer,
        "--allow-http-registry",
        run.outputs["image-ref"].as_str(),
    ];
    let verify = [&cosign[..], &verify].concat();
    let (success, said) = judge("/usr/bin/env".as_ref(), &verify);
    assert!(!success, "the public instance knows nothing of this one: {said}");
    accepts(
        "/usr/bin/env".as_ref(),
        &[&cosign[..], &["initialize", "--mirror", &repository.url, "--root", root]].concat(),
    );
    accepts("/usr/bin/env".as_ref(), &verify);
    runtime.block_on(repository.leave());
}
