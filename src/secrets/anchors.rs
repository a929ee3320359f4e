//! Bytes → where an anchor of a rule begins. It reads eight bytes at a time, and says nothing of
//! what follows.
//!
//! Every second byte is looked at, with its two neighbours on the right: an anchor's first three
//! bytes are met there, or its bytes two to four. Of an anchor of three, the byte before it and its
//! first two.

use std::sync::OnceLock;

use super::rules::{self, CompiledRule};

const BLOCK: usize = 8;
const GRAM: usize = 3;
const HASHES: usize = 1 << 16;

pub(super) struct AnchorSet {
    /// A bit for each hash of three bytes that an anchor has.
    filter: Box<[u64]>,
    /// By hash, the list of anchors; zero for none.
    places: Box<[u16]>,
    lists: Vec<Vec<AnchorGuess>>,
    texts: Vec<&'static [u8]>,
    rules: Vec<Vec<&'static CompiledRule>>,
}

#[derive(Clone, Copy)]
struct AnchorGuess {
    anchor: u16,
    shift: Shift,
}

/// Where an anchor begins, as seen from the three bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shift {
    Here,
    Before,
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sighting {
    pub(super) start: usize,
    anchor: u16,
}

pub(super) fn anchors() -> &'static AnchorSet {
    static ANCHORS: OnceLock<AnchorSet> = OnceLock::new();
    ANCHORS.get_or_init(|| AnchorSet::new(rules::ready()))
}

impl AnchorSet {
    fn new(ready: &'static [CompiledRule]) -> Self {
        let mut texts: Vec<&'static [u8]> =
            ready.iter().flat_map(|it| it.rule.anchors).map(|it| it.as_bytes()).collect();
        texts.sort_unstable();
        texts.dedup();
        let of = |text: &[u8]| {
            let is_of = |it: &&CompiledRule| it.rule.anchors.iter().any(|it| it.as_bytes() == text);
            ready.iter().filter(is_of).collect()
        };
        let mut set = Self {
            filter: vec![0; HASHES / 64].into_boxed_slice(),
            places: vec![0; HASHES].into_boxed_slice(),
            lists: vec![Vec::new()],
            rules: texts.iter().map(|text| of(text)).collect(),
            texts,
        };
        for anchor in 0..set.texts.len() {
            let (Ok(number), Some(text)) = (u16::try_from(anchor), set.texts.get(anchor)) else {
                continue;
            };
            match **text {
                [a, b, c, d, ..] => {
                    set.insert([a, b, c], number, Shift::Here);
                    set.insert([b, c, d], number, Shift::Before);
                }
                [a, b, c] => {
                    set.insert([a, b, c], number, Shift::Here);
                    for any in 0..=u8::MAX {
                        set.insert([any, a, b], number, Shift::After);
                    }
                }
                // A test holds that there is no shorter one.
                _ => {}
            }
        }
        set
    }

    fn insert(&mut self, [a, b, c]: [u8; GRAM], anchor: u16, shift: Shift) {
        let hash = hash(u32::from_le_bytes([a, b, c, 0]));
        if let Some(word) = self.filter.get_mut(hash / 64) {
            *word |= 1 << (hash % 64);
        }
        let Some(place) = self.places.get_mut(hash) else { return };
        if *place == 0 {
            *place = u16::try_from(self.lists.len()).unwrap_or_default();
            self.lists.push(Vec::new());
        }
        if let Some(list) = self.lists.get_mut(usize::from(*place)) {
            list.push(AnchorGuess { anchor, shift });
        }
    }

    /// Of anchors that begin from `from` on and before `limit`, in order.
    pub(super) fn sightings(
        &self,
        bytes: &[u8],
        from: usize,
        limit: usize,
        found: &mut Vec<Sighting>,
    ) {
        found.clear();
        // One before, for what begins after the byte that is looked at.
        let mut at = from.saturating_sub(1);
        let limit = limit.min(bytes.len());
        while at < limit {
            let Some(block) = bytes.get(at..at + BLOCK + 1).and_then(|it| it.first_chunk()) else {
                break;
            };
            if self.may_begin(block) {
                for step in (0..BLOCK).step_by(2) {
                    self.look(bytes, at + step, found);
                }
            }
            at += BLOCK;
        }
        // The end is too short for a block.
        for at in (at..limit).step_by(2) {
            self.look(bytes, at, found);
        }
        found.retain(|it| (from..limit).contains(&it.start));
        found.sort_unstable();
    }

    fn may_begin(&self, block: &[u8; BLOCK + 1]) -> bool {
        let [a, b, c, d, e, f, g, h, i] = *block;
        let has = |x: u8, y: u8, z: u8| {
            let hash = hash(u32::from_le_bytes([x, y, z, 0]));
            self.filter.get(hash / 64).is_some_and(|word| (word >> (hash % 64)) & 1 == 1)
        };
        has(a, b, c) | has(c, d, e) | has(e, f, g) | has(g, h, i)
    }

    fn look(&self, bytes: &[u8], at: usize, found: &mut Vec<Sighting>) {
        let Some([a, b, c]) = bytes.get(at..).and_then(|it| it.first_chunk()) else { return };
        let place = self.places.get(hash(u32::from_le_bytes([*a, *b, *c, 0])));
        let list = self.lists.get(usize::from(place.copied().unwrap_or_default()));
        for candidate in list.into_iter().flatten() {
            let start = match candidate.shift {
                Shift::Here => at,
                Shift::After => at + 1,
                Shift::Before if at > 0 => at - 1,
                Shift::Before => continue,
            };
            let text = self.texts.get(usize::from(candidate.anchor)).copied().unwrap_or_default();
            if bytes.get(start..).is_some_and(|rest| rest.starts_with(text)) {
                found.push(Sighting { start, anchor: candidate.anchor });
            }
        }
    }

    pub(super) fn rules(
        &self,
        sighting: Sighting,
    ) -> impl Iterator<Item = &'static CompiledRule> + use<'_> {
        self.rules.get(usize::from(sighting.anchor)).into_iter().flatten().copied()
    }
}

/// Sixteen bits.
fn hash(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> 16) as usize
}
