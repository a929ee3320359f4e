use super::*;

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const PROVIDER: &str = "projects/12/locations/global/workloadIdentityPools/pool/providers/github";
const ID: &str = "0a1b2c3d-0000-4000-8000-00000000000f";

fn method(pairs: &[(&str, &str)]) -> Result<Method, MethodError> {
    let entry = RegistryAuthEntry(
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Some(SecretString::from(*value))))
            .collect(),
    );
    Method::new(&entry, None)
}

fn keys(pairs: &[(&str, &str)]) -> Result<Option<AwsKeys>, MethodError> {
    AwsKeys::from_environment(
        &pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    )
}

#[test]
fn each_way_of_logging_in_is_recognised() {
    let found =
        method(&[("registry", "https://ghcr.io/"), ("username", "u"), ("password", "p")]).unwrap();
    assert!(matches!(found, Method::Password { username, .. } if username == "u"));
    let found =
        method(&[("registry", ECR), ("aws-role", "arn:aws:iam::210987654321:role/ci/push")])
            .unwrap();
    assert!(
        matches!(found, Method::AwsRole { role, ecr } if role.ends_with("ci/push") && ecr.region == "eu-west-1" && !ecr.public)
    );
    let found = method(&[
        ("registry", "europe-docker.pkg.dev"),
        ("gcp-workload-identity-provider", PROVIDER),
    ])
    .unwrap();
    assert!(matches!(found, Method::Google { service_account: None, .. }));
    let account = ("gcp-service-account", "ci@octo.iam.gserviceaccount.com");
    let found =
        method(&[("registry", "eu.gcr.io"), ("gcp-workload-identity-provider", PROVIDER), account])
            .unwrap();
    assert!(matches!(found, Method::Google { service_account: Some(_), .. }));
    let found = method(&[
        ("registry", "octo.azurecr.io"),
        ("azure-client-id", ID),
        ("azure-tenant-id", ID),
    ])
    .unwrap();
    assert!(matches!(found, Method::Azure { .. }));
}

#[test]
fn names_of_amazon_registries_tell_region_and_partition() {
    for (registry, region, partition) in [
        (ECR, "eu-west-1", "aws"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "aws-cn"),
        ("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "us-gov-west-1", "aws-us-gov"),
        ("public.ecr.aws", "us-east-1", "aws"),
    ] {
        let ecr = ecr(registry).unwrap();
        assert_eq!((ecr.region.as_str(), ecr.partition()), (region, partition), "{registry}");
    }
    for registry in [
        "ghcr.io",
        "12.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr..amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1/x.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.evil.com",
        "123456789012.dkr.ecr.eu-west-1.evilamazonaws.com",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
    ] {
        assert_eq!(ecr(registry), None, "{registry}");
    }
    assert!(
        !is_google("evil.com/x.gcr.io")
            && !is_google("x-docker.pkg.dev.evil.com")
            && !is_google("docker.pkg.dev")
    );
    assert!(
        !is_azure("evil.com/x.azurecr.io")
            && !is_azure(".azurecr.io")
            && !is_azure("a.b.azurecr.io")
    );
}

#[test]
fn every_wrong_combination_is_named() {
    let role = ("aws-role", "arn:aws:iam::123456789012:role/ci");
    for (pairs, says) in [
        (&[("username", "u")][..], "no `registry`"),
        (&[("registry", "ghcr.io")], "give `username` and `password`"),
        (
            &[("registry", "ghcr.io"), ("username", "u")],
            "has `username`, so it needs `password` too",
        ),
        (
            &[("registry", "ghcr.io"), ("password", "p"), ("username", " ")],
            "has `password`, so it needs `username` too",
        ),
        (&[("registry", "ghcr.io"), ("usernmae", "u")], "an unknown key `usernmae`"),
        (&[("registry", "ghcr.io"), role], "`aws-role` is for registries of Amazon ECR"),
        (&[("registry", ECR), role, ("password", "p")], "both `password` and `aws-role`"),
        (
            &[("registry", ECR), role, ("azure-client-id", ID)],
            "both `aws-role` and `azure-client-id`",
        ),
        (&[("registry", ECR)], "give `aws-role`, or `AWS_ACCESS_KEY_ID`"),
        (
            &[("registry", ECR), ("aws-role", "ci")],
            "not of the form `arn:aws:iam::123456789012:role/name`",
        ),
        (
            &[("registry", ECR), ("aws-role", "arn:aws:iam::123456789012:user/ci")],
            "not of the form",
        ),
        (
            &[("registry", ECR), ("aws-role", "arn:aws-cn:iam::123456789012:role/ci")],
            "of partition `aws-cn`",
        ),
        (&[("registry", "gcr.io")], "give `gcp-workload-identity-provider`"),
        (
            &[("registry", "gcr.io"), ("gcp-service-account", "a@b.iam.gserviceaccount.com")],
            "needs `gcp-workload-identity-provider`",
        ),
        (
            &[("registry", "ghcr.io"), ("gcp-workload-identity-provider", PROVIDER)],
            "is for registries of Google",
        ),
        (
            &[
                ("registry", "gcr.io"),
                (
                    "gcp-workload-identity-provider",
                    "projects/name/locations/global/workloadIdentityPools/p",
                ),
            ],
            "is not of the form `projects/<number>",
        ),
        (
            &[
                ("registry", "gcr.io"),
                ("gcp-workload-identity-provider", PROVIDER),
                ("gcp-service-account", "a/../b@gserviceaccount.com"),
            ],
            "name@project",
        ),
        (&[("registry", "octo.azurecr.io")], "give `azure-client-id` and `azure-tenant-id`"),
        (&[("registry", "octo.azurecr.io"), ("azure-tenant-id", ID)], "needs `azure-client-id`"),
        (
            &[("registry", "octo.azurecr.io"), ("azure-tenant-id", "x/y"), ("azure-client-id", ID)],
            "`azure-tenant-id` of",
        ),
        (
            &[("registry", "octo.azurecr.cn"), ("azure-tenant-id", ID), ("azure-client-id", ID)],
            "`<name>.azurecr.io`",
        ),
    ] {
        let message = method(pairs).unwrap_err().to_string();
        assert!(message.contains(says), "{message}\n{says}");
    }
}

#[test]
fn keys_of_the_environment_serve_amazon_registries_only() {
    assert!(keys(&[]).unwrap().is_none() && keys(&[("AWS_ACCESS_KEY_ID", " ")]).unwrap().is_none());
    keys(&[("AWS_ACCESS_KEY_ID", "a")]).unwrap_err();
    keys(&[("AWS_SECRET_ACCESS_KEY", "a")]).unwrap_err();
    let error =
        keys(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "two\nlines")]).unwrap_err();
    assert_eq!(error, MethodError::IllegalKeys { name: "AWS_SECRET_ACCESS_KEY" });
    let found = keys(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_SESSION_TOKEN", "sess"),
    ])
    .unwrap()
    .unwrap();
    assert!(!format!("{found:?}").contains("s3cret") && !format!("{found:?}").contains("AKID"));
    let entry = |registry: &str| {
        RegistryAuthEntry([("registry".to_owned(), Some(SecretString::from(registry)))].into())
    };
    assert!(matches!(
        Method::new(&entry("public.ecr.aws"), Some(&found)),
        Ok(Method::AwsKeys { ecr: Ecr { public: true, .. }, .. })
    ));
    Method::new(&entry("ghcr.io"), Some(&found)).unwrap_err();
}

#[test]
fn entries_are_read_from_yaml_and_json_and_their_values_are_never_shown() {
    let text = "- registry: ghcr.io\n  username: octo\n  password: 12345\n- {\"registry\": \"public.ecr.aws\", \"aws-role\": null}\n";
    let entries: Vec<RegistryAuthEntry> = serde_saphyr::from_str(text).unwrap();
    let Method::Password { password, .. } = Method::new(&entries[0], None).unwrap() else {
        panic!("not a password")
    };
    assert_eq!(password.expose_secret(), "12345");
    assert!(!format!("{entries:?}").contains("12345"));
    assert!(matches!(Method::new(&entries[1], None), Err(MethodError::Nothing { .. })));
}
