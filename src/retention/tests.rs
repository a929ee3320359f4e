//! What is kept and what goes, on repositories made up here.

use super::*;
use crate::image::Tag;
use proptest::prelude::*;

const NOW: &str = "2026-11-28T12:00:00Z";

fn id(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn rules(keep: usize) -> RetentionRules {
    RetentionRules {
        keep,
        younger_than: SignedDuration::from_hours(24),
        orphans: false,
        now: NOW.parse().unwrap(),
    }
}

fn days(days: i64) -> Option<Timestamp> {
    Some(NOW.parse::<Timestamp>().unwrap() - SignedDuration::from_hours(24 * days))
}

fn item(what: ItemClass, age: Option<Timestamp>) -> RetainedItem {
    RetainedItem {
        what,
        names: BTreeSet::new(),
        digest_names: BTreeSet::new(),
        size: 1,
        time: age,
        parts: BTreeSet::new(),
        about: None,
        blobs: BTreeMap::new(),
    }
}

/// An index with one platform, a signature of each, the index's list and the list before it.
fn release(items: &mut Items, name: &str, age: i64, tag: Option<&str>) {
    let part = |part: &str| id(&format!("{name} {part}"));
    let mut index = item(ItemClass::Image, days(age));
    index.names = tag.into_iter().map(|tag| tag.parse::<Tag>().unwrap()).collect();
    index.parts = [part("platform"), part("list")].into();
    let mut list = item(ItemClass::List, days(age));
    (list.parts, list.about) = ([part("signature"), part("sbom")].into(), Some(id(name)));
    let mut before = item(ItemClass::List, days(age));
    before.parts = [part("signature")].into();
    items.extend([
        (id(name), index),
        (part("list"), list),
        (part("before"), before),
        (part("platform"), item(ItemClass::Image, days(age))),
    ]);
    for (evidence, about) in
        [("signature", id(name)), ("sbom", id(name)), ("of platform", part("platform"))]
    {
        let mut one = item(ItemClass::Evidence, days(age));
        one.about = Some(about);
        items.insert(part(evidence), one);
    }
}

fn three() -> Items {
    let mut items = Items::new();
    release(&mut items, "old", 90, None);
    release(&mut items, "middle", 30, None);
    release(&mut items, "new", 3, Some("latest"));
    items
}

#[test]
fn what_has_a_name_or_is_among_the_newest_stays_whole() {
    let items = three();
    for (keep, gone) in
        [(0, &["old", "middle"][..]), (1, &["old", "middle"]), (2, &["old"]), (3, &[]), (9, &[])]
    {
        let decision = decide(&items, &rules(keep));
        for name in ["old", "middle", "new"] {
            for part in ["", " platform", " list", " signature", " sbom", " of platform"] {
                let goes = decision.deleted.contains(&id(&format!("{name}{part}")));
                assert_eq!(goes, gone.contains(&name), "keep {keep}: {name}{part}");
            }
            // A list that another took the place of goes in any case.
            assert!(decision.deleted.contains(&id(&format!("{name} before"))), "{name}");
        }
        let reason = decision.kept.get(&id("new"));
        assert_eq!(reason, Some(&KeptBecause::Named));
    }
}

#[test]
fn what_is_young_keeps_all_that_it_may_be_part_of() {
    for part in ["old", "old platform", "old of platform", "old sbom", "old before"] {
        let mut items = three();
        items.get_mut(&id(part)).unwrap().time = days(0);
        let decision = decide(&items, &rules(0));
        assert!(
            decision.kept.contains_key(&id("old"))
                && decision.kept.contains_key(&id("old platform")),
            "{part}"
        );
        assert!(decision.deleted.contains(&id("middle")), "{part}");
    }
    // A clock that is ahead is not an age.
    let mut items = three();
    items.get_mut(&id("old sbom")).unwrap().time = days(-400);
    assert_eq!(decide(&items, &rules(0)).kept.get(&id("old")), Some(&KeptBecause::Young));
}

#[test]
fn what_nobody_knows_the_time_of_stays() {
    let mut items = three();
    items.retain(|digest, _| {
        ![id("old before"), id("middle before"), id("new before")].contains(digest)
    });
    for (digest, item) in &mut items {
        if *digest != id("middle of platform") {
            item.time = None;
        }
    }
    let decision = decide(&items, &rules(0));
    assert_eq!(decision.kept.get(&id("old")), Some(&KeptBecause::TimeUnknown));
    assert!(decision.deleted.contains(&id("middle")), "the time of its evidence is known");
}

#[test]
fn evidence_of_what_is_elsewhere_stays_unless_it_is_asked_for() {
    let mut items = three();
    let mut alone = item(ItemClass::Evidence, days(90));
    alone.about = Some(id("elsewhere"));
    items.insert(id("alone"), alone);
    assert_eq!(decide(&items, &rules(0)).kept.get(&id("alone")), Some(&KeptBecause::Orphan));
    assert!(
        decide(&items, &RetentionRules { orphans: true, ..rules(0) })
            .deleted
            .contains(&id("alone"))
    );
}

#[test]
fn the_newest_scanner_of_each_processor_stays_and_is_no_release() {
    let mut items = three();
    for (name, of, age) in [("a", "amd64", 9), ("b", "amd64", 8), ("c", "arm64", 50)] {
        items.insert(id(name), item(ItemClass::Scanner(of.to_owned()), days(age)));
    }
    let decision = decide(&items, &rules(2));
    assert!(decision.deleted.contains(&id("a")) && !decision.deleted.contains(&id("middle")));
    assert_eq!(
        (decision.kept.get(&id("b")), decision.kept.get(&id("c"))),
        (Some(&KeptBecause::Scanner), Some(&KeptBecause::Scanner))
    );
}

#[test]
fn evidence_goes_after_what_it_is_about_and_one_image_after_the_other() {
    let decision = decide(&three(), &rules(0));
    let at = |name: &str| decision.deleted.iter().position(|digest| *digest == id(name)).unwrap();
    assert!(at("old") < at("old platform") && at("old platform") < at("old of platform"));
    assert!(at("old") < at("old list") && at("old list") < at("old sbom"));
    assert!(at("old") < at("middle"), "the oldest first");
}

proptest! {
    /// Whatever names whatever: what is kept is whole, and nothing goes before what names it.
    #[test]
    fn nothing_that_is_kept_misses_a_part(
        kinds in prop::collection::vec((0..5_u8, 0..4_i64, any::<bool>()), 1..14),
        ties in prop::collection::vec((0..14_usize, 0..14_usize, any::<bool>()), 0..24),
        keep in 0..3_usize,
    ) {
        let digest = |at: usize| id(&at.to_string());
        let mut items = Items::new();
        for (at, (kind, age, named)) in kinds.iter().enumerate() {
            let what = [ItemClass::Image, ItemClass::Scanner("amd64".into()), ItemClass::Other, ItemClass::List, ItemClass::Evidence][usize::from(*kind)].clone();
            let mut one = item(what, if *age == 3 { None } else { days(*age) });
            if *named && *age == 2 {
                one.names.insert("v1".parse().unwrap());
            }
            items.insert(digest(at), one);
        }
        for (from, to, about) in ties {
            // As with hashes: only what is there already is named.
            if to < from && items.contains_key(&digest(from)) {
                let one = items.get_mut(&digest(from)).unwrap();
                if about { one.about.get_or_insert(digest(to)); } else { one.parts.insert(digest(to)); }
            }
        }
        let decision = decide(&items, &rules(keep));
        let gone: BTreeSet<&Digest> = decision.deleted.iter().collect();
        prop_assert_eq!(gone.len(), decision.deleted.len());
        for (digest, one) in &items {
            prop_assert!(gone.contains(digest) != decision.kept.contains_key(digest));
            prop_assert!(one.names.is_empty() || !gone.contains(digest));
            let at = |digest: &Digest| decision.deleted.iter().position(|known| known == digest);
            for part in &one.parts {
                prop_assert!(gone.contains(digest) || !gone.contains(part), "a part of something kept goes");
            }
            if let Some(about) = &one.about {
                prop_assert!(gone.contains(about) || !gone.contains(digest), "evidence of something kept goes");
                prop_assert!(gone.contains(digest) || !gone.contains(about), "evidence that is kept is about something that goes");
                prop_assert!(at(digest).is_none() || at(about) < at(digest), "evidence goes before what it is about");
            }
        }
    }
}
