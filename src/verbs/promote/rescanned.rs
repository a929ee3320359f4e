//! An image that is to be promoted → whether what is known of it today lets it pass. It signs no
//! result and copies nothing.

use std::collections::BTreeSet;

use anyhow::Context as _;
use jiff::Timestamp;

use super::Promote;
use crate::assess::refused::refusal;
use crate::assess::{Assessed, Assessor};
use crate::inputs::ScanInputs;
use crate::registry::Registry;
use crate::scan::shown;
use crate::verbs::private::temporary;
use crate::verbs::rescan::{PublishedImage, listed};
use crate::verbs::scanning::{known_at_all, refused};
use crate::verify::VerifiedImage;

impl Promote<'_> {
    /// Looks up what its signed SBOMs list.
    ///
    /// # Errors
    /// When the rules refuse it, or a question went unanswered.
    pub(super) async fn rescanned(
        &self,
        scan: &ScanInputs,
        reader: &Registry,
        verified: &VerifiedImage,
    ) -> anyhow::Result<()> {
        let Self { context, plan, report, .. } = self;
        let started = Timestamp::now();
        let (network, folder) = (&context.network, temporary(context));
        let assessor = Assessor::open(&scan.terms, network, started, &folder).await?;
        let image = PublishedImage::verified(verified, &plan.release.allowed)?;
        let listed = listed(reader, &image, started, report)
            .await
            .with_context(|| format!("`{}` cannot be scanned", image.image))?;
        let assessed = assessor.assess(listed, started).await?;
        let all: Vec<&Assessed> = assessed.iter().collect();
        let remarks = assessor.remarks(&all, &BTreeSet::new());
        remarks.iter().for_each(|remark| report.notice(remark));
        for assessed in &all {
            report.say(&format!("scan: {}", shown::labelled(&assessed.scan)));
        }
        match refusal(&all) {
            None => known_at_all(
                &all.iter().map(|assessed| &assessed.scan).collect::<Vec<_>>(),
                "`advisories` or `osv-url`",
            ),
            Some(refusal) => Err(refused(&refusal, &[])),
        }
    }
}
