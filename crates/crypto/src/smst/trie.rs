//! The trie itself: leaves and branches in an arena, grown without hashing, hashed when somebody asks.
//!
//! It is a path-compressed binary trie: a branch stands at the bit where its leaves part, so bits in which they all
//! agree cost no node. Every insert of a new path makes one leaf and at most one branch, and both live in the same
//! slot; slot 0 has no branch. What a walk reads (links, 10 bytes) is kept apart from what hashing writes, so that
//! the links of a hundred thousand leaves stay in a core's cache.

use super::{
    Digest, LeafDigest, PLACEHOLDER, Path, Root,
    arena::{Arena, Slots, grow},
    bit, extend, inner, leaf_hash,
    node::{BranchDigest, Link, Node, Origin},
    path_of,
};

/// Most leaves one trie can hold. At 127 bytes a leaf that is 136 GB, so memory ends first.
pub const MAX_LEAVES: usize = 1 << 30;

/// How many leaves are looked up at once: about as many as a core can wait for.
const TOGETHER: usize = 16;

/// A leaf without its bytes: what a leaf log needs to keep to rebuild the trie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedLeaf {
    /// Where the leaf lives.
    pub path: Path,
    /// Hash of path, value, weight and count ([`leaf_hash`]).
    pub leaf_hash: LeafDigest,
    /// Weight in compute units.
    pub weight: u64,
}

/// The leaf that a proof for some path will show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosestLeaf {
    /// The leaf's own path.
    pub path: Path,
    /// Its hash, to check the bytes that are read back.
    pub leaf_hash: LeafDigest,
    /// Its weight in compute units.
    pub weight: u64,
    /// Its depth: the number of digests beside its branch.
    pub depth: u16,
}

/// A sparse Merkle sum trie in memory, at 127 bytes a leaf.
///
/// ```
/// use pocket_crypto::smst::Trie;
///
/// let mut trie = Trie::new();
/// trie.insert(b"relay hash", b"relay bytes", 10);
/// assert_eq!(trie.insert(b"relay hash", b"relay bytes", 10), Some(10)); // again: replaced, not added
/// assert_eq!((trie.root().sum(), trie.root().count()), (10, 1));
/// ```
#[derive(Debug, Clone)]
pub struct Trie {
    root: Option<Node>,
    slots: Slots,
    leaves: Arena<PackedLeaf>,
    links: Vec<Link>,
    digests: Arena<BranchDigest>,
    /// Running total of the weights.
    sum: u64,
    /// Branches on the way to the leaf being inserted; kept to spare every insert an allocation.
    walk: Vec<u32>,
}

impl Default for Trie {
    fn default() -> Self {
        Self::new()
    }
}

impl Trie {
    /// Makes an empty trie.
    pub const fn new() -> Self {
        Self {
            root: None,
            slots: Slots::new(),
            leaves: Arena::new(),
            links: Vec::new(),
            digests: Arena::new(),
            sum: 0,
            walk: Vec::new(),
        }
    }

    /// Makes an empty trie that expects about `leaves` leaves. It may hold more or fewer; most of the memory is taken
    /// as leaves come.
    pub fn with_capacity(leaves: usize) -> Self {
        let links = Vec::with_capacity(leaves.min(MAX_LEAVES));
        Self { links, ..Self::new() }
    }

    /// Builds a trie from leaves sorted by path, in one pass without a search.
    ///
    /// Of several leaves with the same path the last counts. A leaf that is out of order is not lost: it is inserted
    /// afterwards, at the price of an ordinary insert.
    pub fn from_sorted(leaves: impl IntoIterator<Item = PackedLeaf>) -> Self {
        let leaves = leaves.into_iter();
        let mut trie = Self::with_capacity(leaves.size_hint().0);
        let mut spine: Vec<(u16, u32)> = Vec::new(); // branches from the root to the last leaf: (bit, slot)
        let mut last = None;
        let mut stragglers = Vec::new();
        for leaf in leaves {
            let Some(before) = last else {
                last = Some(trie.push(leaf, |_| Link::NONE));
                trie.root = last.map(Node::leaf);
                continue;
            };
            match first_difference(&trie.leaves[before].path, &leaf.path) {
                None => {
                    trie.replace(before, leaf);
                }
                Some(at) if !bit(&leaf.path, at) => stragglers.push(leaf),
                Some(at) => {
                    let mut left = Node::leaf(before);
                    while let Some((_, branch)) = spine.pop_if(|(parts_at, _)| *parts_at > at) {
                        left = Node::branch(branch);
                    }
                    let added = trie.push(leaf, |added| Link::new(at, true, left, Node::leaf(added), Origin::Own));
                    match spine.last() {
                        Some(&(_, above)) => trie.link_mut(above).set_child(true, Node::branch(added)),
                        None => trie.root = Some(Node::branch(added)),
                    }
                    spine.push((at, added));
                    last = Some(added);
                }
            }
        }
        for leaf in stragglers {
            trie.insert_packed(leaf.path, leaf.leaf_hash, leaf.weight);
        }
        trie
    }

    /// Inserts a leaf by key and value; its path is SHA-256 of the key. Returns the weight it replaced, if the path
    /// was there already. The value is hashed and not kept.
    ///
    /// # Panics
    /// When the trie already holds [`MAX_LEAVES`].
    pub fn insert(&mut self, key: &[u8], value: &[u8], weight: u64) -> Option<u64> {
        let path = path_of(key);
        self.insert_packed(path, leaf_hash(&path, value, weight), weight)
    }

    /// Inserts a leaf whose hash is already known, as when rebuilding from a leaf log. Returns the weight it
    /// replaced, if the path was there already.
    ///
    /// # Panics
    /// When the trie already holds [`MAX_LEAVES`].
    pub fn insert_packed(&mut self, path: Path, leaf_hash: LeafDigest, weight: u64) -> Option<u64> {
        let leaf = PackedLeaf { path, leaf_hash, weight };
        let Some(mut node) = self.root else {
            self.root = Some(Node::leaf(self.push(leaf, |_| Link::NONE)));
            return None;
        };
        // Bits that were compressed away are passed over unseen: whether the path agrees with them shows at the leaf,
        // which is one look into cold memory instead of one for every such place.
        self.walk.clear();
        while let Some(branch) = node.as_branch() {
            self.walk.push(branch);
            let link = self.link(branch);
            node = link.child(link.side_of(&path));
        }
        let resident = node.slot();
        let Some(at) = first_difference(&path, &self.leaves[resident].path) else {
            self.soil();
            return Some(self.replace(resident, leaf));
        };
        // The new branch goes above the first one that decides by a later bit than the one in which the paths part.
        let mut origin = Origin::Own;
        while let Some(&branch) = self.walk.last()
            && self.link(branch).parts_at() > at
        {
            self.walk.pop();
            node = Node::branch(branch);
            origin = Origin::toward(!bit(&path, at));
        }
        if let Some(branch) = node.as_branch() {
            self.link_mut(branch).soil(); // its chain of lone bits becomes shorter
        }
        self.soil();
        let side = bit(&path, at);
        let above = self.walk.last().copied();
        let added = self.push(leaf, |added| Link::new(at, side, node, Node::leaf(added), origin));
        match above {
            Some(branch) => {
                let side = self.link(branch).side_of(&path);
                self.link_mut(branch).set_child(side, Node::branch(added));
            }
            None => self.root = Some(Node::branch(added)),
        }
        None
    }

    /// Inserts many leaves, in order, at less than the price of inserting each alone in a large trie: where they will
    /// go is looked up for several at once, so that the waits for memory overlap. Tells `replaced` of every leaf that
    /// took the place of another, and that one's weight.
    ///
    /// # Panics
    /// When the trie already holds [`MAX_LEAVES`].
    pub fn insert_all(&mut self, leaves: &[PackedLeaf], mut replaced: impl FnMut(&PackedLeaf, u64)) {
        for some in leaves.chunks(TOGETHER) {
            self.warm(some);
            for leaf in some {
                if let Some(weight) = self.insert_packed(leaf.path, leaf.leaf_hash, leaf.weight) {
                    replaced(leaf, weight);
                }
            }
        }
    }

    /// Brings into the cache what inserting these leaves will look at. Each step down waits for memory, but the steps
    /// of different leaves wait together.
    fn warm(&self, leaves: &[PackedLeaf]) {
        let mut nodes = [self.root; TOGETHER];
        let mut under_way = true;
        while std::mem::take(&mut under_way) {
            for (node, leaf) in nodes.iter_mut().zip(leaves) {
                if let Some(branch) = node.and_then(Node::as_branch) {
                    let link = self.link(branch);
                    *node = Some(link.child(link.side_of(&leaf.path)));
                    under_way = true;
                }
            }
        }
        for node in nodes.iter().take(leaves.len()).flatten() {
            std::hint::black_box(self.leaves[node.slot()].path[0]);
        }
    }

    /// Returns the root: hashes what changed since it was last asked, about 0.35 µs per leaf that is new.
    pub fn root(&mut self) -> Root {
        self.refresh().root()
    }

    /// Total weight in compute units, modulo 2^64, without hashing anything.
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// Number of leaves.
    pub fn len(&self) -> usize {
        self.slots.taken()
    }

    /// Says whether there is no leaf.
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Says whether a leaf lives at this path.
    pub fn contains(&self, path: &Path) -> bool {
        self.get(path).is_some()
    }

    /// Returns the leaf at this path.
    pub fn get(&self, path: &Path) -> Option<PackedLeaf> {
        let mut node = self.root?;
        while let Some(branch) = node.as_branch() {
            let link = self.link(branch);
            node = link.child(link.side_of(path));
        }
        Some(self.leaves[node.slot()]).filter(|leaf| leaf.path == *path)
    }

    /// Returns the leaf that [`Trie::prove`] would show for this path, so that its bytes can be fetched first.
    /// `None` when there is no leaf.
    pub fn closest(&self, path: Path) -> Option<ClosestLeaf> {
        let descent = self.descend(path)?;
        let PackedLeaf { path, leaf_hash, weight } = descent.leaf;
        Some(ClosestLeaf { path, leaf_hash, weight, depth: descent.depth })
    }

    /// Bytes held in memory, unused capacity included.
    pub fn bytes(&self) -> usize {
        let links = self.links.capacity() * size_of::<Link>() + self.walk.capacity() * size_of::<u32>();
        size_of::<Self>() + self.slots.bytes() + self.leaves.bytes() + links + self.digests.bytes()
    }

    /// Walks to the leaf closest to a path: along its bits, inverting a bit wherever nobody lives on its side.
    pub(crate) fn descend(&self, mut path: Path) -> Option<Descent> {
        let mut node = self.root?;
        let (mut depth, mut flipped, mut beside) = (0, Vec::new(), Vec::new());
        while let Some(branch) = node.as_branch() {
            let link = self.link(branch);
            let resident = &self.leaves[branch].path; // every leaf below agrees on the bits compressed away
            for at in depth..link.parts_at() {
                if bit(&path, at) != bit(resident, at) {
                    flipped.push(at);
                    super::flip(&mut path, at);
                }
                beside.push(None);
            }
            let side = link.side_of(&path);
            beside.push(Some(link.child(!side)));
            depth = link.parts_at() + 1;
            node = link.child(side);
        }
        Some(Descent { leaf: self.leaves[node.slot()], depth, flipped, beside })
    }

    /// Hashes what changed and returns the digest of the root.
    pub(crate) fn refresh(&mut self) -> Digest {
        self.root.map_or(PLACEHOLDER, |root| self.rehash(root, 0))
    }

    /// Digest of a node whose hashes are up to date.
    pub(crate) fn digest(&self, node: Node) -> Digest {
        match node.as_branch() {
            Some(branch) => self.digests[branch].get(),
            None => leaf_digest(&self.leaves[node.slot()]),
        }
    }

    /// The encoding of a node that starts at bit `depth`, in the form the reference stores it, or the leaf whose
    /// value is needed for it.
    pub(crate) fn shape(&self, node: Node, depth: u16) -> Shape {
        let Some(branch) = node.as_branch() else { return Shape::Leaf(self.leaves[node.slot()]) };
        let link = self.link(branch);
        let (left, right) = (self.digest(link.child(false)), self.digest(link.child(true)));
        if link.parts_at() == depth {
            return Shape::Inner { left, right };
        }
        let path = self.leaves[self.founder(branch)].path;
        Shape::Extension { start: depth, end: link.parts_at(), path, child: inner(left, right) }
    }

    /// Brings the digests below a node up to date. Recursion is bounded by the number of bits in a path.
    fn rehash(&mut self, node: Node, depth: u16) -> Digest {
        let Some(branch) = node.as_branch() else { return self.digest(node) };
        let link = self.link(branch);
        if !link.is_soiled() {
            return self.digest(node);
        }
        let parts_at = link.parts_at();
        let left = self.rehash(link.child(false), parts_at + 1);
        let right = self.rehash(link.child(true), parts_at + 1);
        let mut digest = inner(left, right);
        if parts_at > depth {
            digest = extend(digest, &self.leaves[branch].path, depth, parts_at);
        }
        self.digests[branch] = BranchDigest::new(digest);
        self.link_mut(branch).clean();
        digest
    }

    /// Marks the branches of the last walk as out of date, from the lowest up. Above a soiled branch all are soiled.
    fn soil(&mut self) {
        for at in (0..self.walk.len()).rev() {
            let link = self.link_mut(self.walk[at]);
            if link.is_soiled() {
                break;
            }
            link.soil();
        }
    }

    fn link(&self, branch: u32) -> Link {
        self.links[branch as usize]
    }

    fn link_mut(&mut self, branch: u32) -> &mut Link {
        &mut self.links[branch as usize]
    }

    /// Takes a slot for a leaf and the branch that comes with it.
    fn push(&mut self, leaf: PackedLeaf, link: impl FnOnce(u32) -> Link) -> u32 {
        assert!(self.len() < MAX_LEAVES, "a trie holds at most {MAX_LEAVES} leaves");
        let added = self.slots.take(&leaf.path);
        self.sum = self.sum.wrapping_add(leaf.weight);
        self.leaves.put(added, leaf);
        self.digests.put(added, BranchDigest::new(PLACEHOLDER));
        while self.links.len() < self.slots.end() {
            grow(&mut self.links);
            self.links.push(Link::NONE);
        }
        *self.link_mut(added) = link(added);
        added
    }

    fn replace(&mut self, at: u32, leaf: PackedLeaf) -> u64 {
        let before = std::mem::replace(&mut self.leaves[at], leaf).weight;
        self.sum = self.sum.wrapping_sub(before).wrapping_add(leaf.weight);
        before
    }

    /// The leaf whose path the reference writes into the extension node above a branch: the one whose arrival made
    /// the extension. It matters only to the exact bytes of sibling data, never to a digest.
    fn founder(&self, mut branch: u32) -> u32 {
        loop {
            let side = match self.link(branch).origin() {
                Origin::Own => return branch,
                Origin::Left => false,
                Origin::Right => true,
            };
            let child = self.link(branch).child(side);
            branch = child.as_branch().expect("an extension is inherited from a branch, and branches stay");
        }
    }
}

/// The way from the root to the leaf closest to a path.
pub(crate) struct Descent {
    pub(crate) leaf: PackedLeaf,
    pub(crate) depth: u16,
    /// Bits that were inverted, ascending.
    pub(crate) flipped: Vec<u16>,
    /// What lies on the other side at each depth, top down; `None` where nobody lives.
    pub(crate) beside: Vec<Option<Node>>,
}

/// What the encoding of a node is made of.
pub(crate) enum Shape {
    Leaf(PackedLeaf),
    Inner { left: Digest, right: Digest },
    Extension { start: u16, end: u16, path: Path, child: Digest },
}

const _: () = assert!(size_of::<PackedLeaf>() + size_of::<Link>() + size_of::<BranchDigest>() == 126);

fn leaf_digest(leaf: &PackedLeaf) -> Digest {
    Digest { hash: leaf.leaf_hash, sum: leaf.weight, count: 1 }
}

/// The first bit in which two paths differ.
fn first_difference(a: &Path, b: &Path) -> Option<u16> {
    let words = |path: &Path| -> [u64; 4] {
        std::array::from_fn(|word| u64::from_be_bytes(std::array::from_fn(|byte| path[8 * word + byte])))
    };
    let (a, b) = (words(a), words(b));
    (0_u16..4).find_map(|word| {
        let differs = a[usize::from(word)] ^ b[usize::from(word)];
        (differs != 0).then(|| 64 * word + u16::try_from(differs.leading_zeros()).expect("at most 63"))
    })
}
