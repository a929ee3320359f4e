//! Rows for services that programs call. It reads nothing.

use super::{Proof, Reach, SecretRule, token};
use crate::secrets::proofs;

pub(super) const ROWS: &[SecretRule] = &[
    token(
        "slack-token",
        "Slack token",
        &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-"],
        r"xox[abprs]-(?:[0-9]-)?[0-9]{10,13}-(?:[0-9]{10,13}-){0,2}[0-9A-Za-z]{24,64}|xapp-[0-9]-A[0-9A-Z]{8,12}-[0-9]{10,14}-[0-9a-f]{64}",
    )
    .proved(Proof::Entropy(3.0)),
    token(
        "slack-webhook",
        "address that writes to a Slack channel",
        &["hooks.slack.com/"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(T[0-9A-Z]{8,12}/[AB][0-9A-Z]{8,12}/(?:[0-9]{10,20}/)?[0-9A-Za-z]{23,25})",
    )
    .loose(),
    token(
        "discord-webhook",
        "address that writes to a Discord channel",
        &["/api/webhooks/"],
        r"/api/webhooks/([0-9]{17,20}/[0-9A-Za-z_-]{60,72})",
    )
    .loose(),
    token(
        "discord-token",
        "Discord bot token",
        &["DISCORD_TOKEN", "DISCORD_BOT_TOKEN", "discord_token", "discordToken", "Bot "],
        r#"(?:[A-Za-z_]{12,17}(?:\\?["'])?\s{0,4}[=:]\s{0,4}(?:\\?["'])?|Bot )([MNO][0-9A-Za-z_-]{22,27}\.[0-9A-Za-z_-]{6}\.[0-9A-Za-z_-]{27,38})"#,
    )
    .proved(Proof::Structure(proofs::begins_with_a_snowflake))
    .loose(),
    token("telegram-token", "Telegram bot token", &[":AA"], r"[0-9]{8,10}:AA[0-9A-Za-z_-]{33}")
        .reaching(Reach::Digits),
    token(
        "stripe-key",
        "Stripe key for real money",
        &["sk_live_", "rk_live_"],
        r"[rs]k_live_[0-9A-Za-z]{24,247}",
    ),
    token(
        "twilio-token",
        "Twilio token",
        &["TWILIO_AUTH_TOKEN", "twilio_auth_token", "twilioAuthToken"],
        r#"[A-Za-z_]{15,17}(?:\\?["'])?\s{0,4}[=:]\s{0,4}(?:\\?["'])?([0-9a-f]{32})"#,
    )
    .proved(Proof::Entropy(3.0))
    .loose(),
    token("sendgrid-key", "SendGrid key", &["SG."], r"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    token(
        "mailgun-key",
        "Mailgun key",
        &["MAILGUN_API_KEY", "mailgun_api_key", "mailgunApiKey", "MAILGUN_KEY"],
        r#"[A-Za-z_]{11,15}(?:\\?["'])?\s{0,4}[=:]\s{0,4}(?:\\?["'])?((?:key-)?[0-9a-f]{32}(?:-[0-9a-f]{8}-[0-9a-f]{8})?)"#,
    )
    .proved(Proof::Entropy(3.0))
    .loose(),
    token("mailchimp-key", "Mailchimp key", &["-us"], r"[0-9a-f]{32}-us[0-9]{1,2}")
        .reaching(Reach::Back(32))
        .proved(Proof::Entropy(3.0))
        .told(),
    token("brevo-key", "Brevo key", &["xkeysib-"], r"xkeysib-[0-9a-f]{64}-[0-9A-Za-z]{16}"),
    token(
        "square-token",
        "Square token",
        &["sq0atp-", "sq0csp-"],
        r"sq0(?:atp-[0-9A-Za-z_-]{22}|csp-[0-9A-Za-z_-]{43})",
    ),
    token(
        "shopify-token",
        "Shopify token",
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    )
    .proved(Proof::Entropy(3.0)),
    token(
        "datadog-key",
        "Datadog key",
        &["DD_API_KEY", "DD_APP_KEY", "DATADOG_API_KEY", "DATADOG_APP_KEY", "DD_APPLICATION_KEY"],
        r#"[A-Z_]{10,18}(?:\\?["'])?\s{0,4}[=:]\s{0,4}(?:\\?["'])?([0-9a-f]{32}(?:[0-9a-f]{8})?)"#,
    )
    .proved(Proof::Entropy(3.0))
    .loose(),
    token("newrelic-key", "New Relic key", &["NRAK-"], r"NRAK-[0-9A-Z]{27}"),
    token("newrelic-licence", "New Relic licence key", &["NRAL"], r"[0-9a-f]{36}NRAL")
        .reaching(Reach::Back(36))
        .proved(Proof::Entropy(3.0)),
    token(
        "grafana-token",
        "Grafana service account token",
        &["glsa_"],
        r"glsa_[0-9A-Za-z]{32}_[0-9a-fA-F]{8}",
    ),
    token("grafana-cloud-token", "Grafana Cloud token", &["glc_eyJ"], r"glc_(eyJ[0-9A-Za-z+/]{50,400}={0,2})")
        .proved(Proof::Structure(proofs::is_json_object)),
    token(
        "dynatrace-token",
        "Dynatrace token",
        &["dt0c01.", "dt0s01.", "dt0s16."],
        r"dt0[cs](?:01|16)\.[A-Z2-7]{8,24}\.[A-Z2-7]{64}",
    ),
    token(
        "sentry-token",
        "Sentry token",
        &["sntryu_", "sntrys_eyJ"],
        r"sntryu_[0-9a-f]{64}|sntrys_eyJ[0-9A-Za-z+/]{80,400}={0,2}_[0-9A-Za-z+/]{43}",
    )
    .proved(Proof::Entropy(3.0)),
    token("huggingface-token", "Hugging Face token", &["hf_"], r"hf_[0-9A-Za-z]{34}")
        .proved(Proof::Entropy(4.0)),
    token(
        "anthropic-key",
        "Anthropic key",
        &["sk-ant-"],
        r"sk-ant-[a-z]{3,6}[0-9]{2}-[0-9A-Za-z_-]{86,104}AA",
    ),
    token(
        "openai-key",
        "OpenAI key",
        &["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"],
        r"sk-(?:proj|svcacct|admin|None)-[0-9A-Za-z_-]{20,80}T3BlbkFJ[0-9A-Za-z_-]{20,80}",
    ),
    token("openai-older-key", "OpenAI key", &["T3BlbkFJ"], r"sk-[0-9A-Za-z]{20}T3BlbkFJ[0-9A-Za-z]{20}")
        .reaching(Reach::Back(23)),
    token("openrouter-key", "OpenRouter key", &["sk-or-v1-"], r"sk-or-v1-[0-9a-f]{64}")
        .proved(Proof::Entropy(3.0)),
    token("groq-key", "Groq key", &["gsk_"], r"gsk_[0-9A-Za-z]{52}"),
    token("xai-key", "xAI key", &["xai-"], r"xai-[0-9A-Za-z]{80}"),
    token("perplexity-key", "Perplexity key", &["pplx-"], r"pplx-[0-9A-Za-z]{48,56}"),
    token("replicate-token", "Replicate token", &["r8_"], r"r8_[0-9A-Za-z]{37}")
        .proved(Proof::Entropy(4.0)),
    token("mapbox-key", "Mapbox secret key", &["sk.eyJ"], r"sk\.(eyJ[0-9A-Za-z_-]{40,200})\.[0-9A-Za-z_-]{22}")
        .proved(Proof::Structure(proofs::is_json_object)),
];
