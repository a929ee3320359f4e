//! Makes RFC 6962 tree heads and inclusion proofs over a growing list of leaves; it never forgets
//! or reorders one.

use super::keys::sha256;

pub(super) type Hash = Vec<u8>;

/// `levels[k][i]` is the root of the complete subtree over leaves `i·2^k .. (i+1)·2^k`.
#[derive(Default)]
pub(super) struct MerkleTree {
    levels: Vec<Vec<Hash>>,
}

pub(super) fn leaf_hash(body: &[u8]) -> Hash {
    sha256(&[&[0], body].concat())
}

fn parent(left: &[u8], right: &[u8]) -> Hash {
    sha256(&[&[1], left, right].concat())
}

impl MerkleTree {
    pub(super) fn len(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    pub(super) fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let nodes = &mut self.levels[level];
            nodes.push(node);
            if nodes.len() % 2 == 1 {
                return;
            }
            node = parent(&nodes[nodes.len() - 2], &nodes[nodes.len() - 1]);
        }
    }

    pub(super) fn root(&self) -> Hash {
        match self.len() {
            0 => sha256(&[]),
            size => self.head(0, size),
        }
    }

    /// The hashes that lead from leaf `index` to the root, nearest first; `index` must be in the
    /// tree.
    pub(super) fn inclusion_proof(&self, index: usize) -> Vec<Hash> {
        let mut path = Vec::new();
        let (mut start, mut end) = (0, self.len());
        while end - start > 1 {
            let split = start + largest_power_of_two_below(end - start);
            if index < split {
                path.push(self.head(split, end));
                end = split;
            } else {
                path.push(self.head(start, split));
                start = split;
            }
        }
        path.reverse();
        path
    }

    /// `MTH(D[start:end])`: looked up where the range is a complete subtree, else composed.
    fn head(&self, start: usize, end: usize) -> Hash {
        let size = end - start;
        if size.is_power_of_two() {
            let level = size.trailing_zeros() as usize;
            return self.levels[level][start >> level].clone();
        }
        let split = start + largest_power_of_two_below(size);
        parent(&self.head(start, split), &self.head(split, end))
    }
}

/// The `k` of RFC 6962 §2.1: the largest power of two smaller than `size`, which is at least 2.
fn largest_power_of_two_below(size: usize) -> usize {
    1 << (usize::BITS - 1 - (size - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1, word for word.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [leaf] => leaf.clone(),
            _ => {
                let (left, right) = leaves.split_at(largest_power_of_two_below(leaves.len()));
                parent(&naive_root(left), &naive_root(right))
            }
        }
    }

    /// RFC 9162 §2.1.3.2.
    fn root_from_proof(leaf: &Hash, index: usize, size: usize, path: &[Hash]) -> Hash {
        let (mut node, mut last, mut hash) = (index, size - 1, leaf.clone());
        for sibling in path {
            assert_ne!(last, 0, "the proof is too long");
            if node % 2 == 1 || node == last {
                hash = parent(sibling, &hash);
                while node % 2 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hash = parent(&hash, sibling);
            }
            node >>= 1;
            last >>= 1;
        }
        assert_eq!(last, 0, "the proof is too short");
        hash
    }

    #[test]
    fn roots_and_proofs_agree_with_the_rfc_at_every_size() {
        let mut tree = MerkleTree::default();
        let mut leaves = Vec::new();
        assert_eq!(tree.root(), naive_root(&leaves));
        for number in 0u8..70 {
            let leaf = leaf_hash(&[number]);
            tree.push(leaf.clone());
            leaves.push(leaf);
            assert_eq!(tree.root(), naive_root(&leaves));
            for (index, leaf) in leaves.iter().enumerate() {
                let path = tree.inclusion_proof(index);
                assert_eq!(root_from_proof(leaf, index, leaves.len(), &path), tree.root());
            }
        }
    }

    #[test]
    fn splits_as_the_rfc_says() {
        let split: Vec<usize> = [2, 3, 4, 5, 8, 9].map(largest_power_of_two_below).to_vec();
        assert_eq!(split, [1, 2, 2, 4, 4, 8]);
    }
}
