//! Where a trie keeps what belongs to its leaves and branches: slots, handed out so that neighbours lie close.
//!
//! A plain `Vec` doubles: at its worst moment it holds twice what it needs, and every doubling copies all of it,
//! which would break the memory budget of a leaf and stall the insert that hits it. So memory is taken in chunks.
//!
//! Leaves arrive in the order of their hashes' whim. Were slots handed out in order of arrival alone, every look at a
//! leaf of a large trie would wait for memory, and for the tables that say where that memory is. So once the trie is
//! large, each chunk is given to the leaves whose paths begin alike; hashing goes along the paths and then finds what it
//! needs close together.

use super::Path;

/// Slots in a chunk.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 6;

/// Room for which the first chunk is made; it doubles, so that a short session costs little.
const FEWEST: usize = 4;

/// Leaves that are stored in order of arrival before chunks are given to paths. These are the top of the tree.
const ARRIVALS: usize = 1 << 17;

/// How many bits of a path decide to whose chunk its leaf goes.
const NEIGHBOUR_BITS: u32 = 5;

/// Hands out slots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots {
    taken: usize,
    chunks: u32,
    arrivals: u32,
    by_beginning: Vec<u32>,
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self { taken: 0, chunks: 0, arrivals: 0, by_beginning: Vec::new() }
    }

    /// How many slots were handed out.
    pub(crate) const fn taken(&self) -> usize {
        self.taken
    }

    /// Slots there would be if all chunks were full: every slot is below this.
    pub(crate) const fn end(&self) -> usize {
        (self.chunks as usize) << CHUNK_BITS
    }

    /// Hands out the next slot for a leaf at this path. The first is 0. Within a chunk they are handed out in order.
    pub(crate) fn take(&mut self, path: &Path) -> u32 {
        if self.taken == ARRIVALS {
            self.by_beginning = vec![0; 1 << NEIGHBOUR_BITS];
        }
        let next = match self.by_beginning.get_mut(usize::from(path[0] >> (u8::BITS - NEIGHBOUR_BITS))) {
            Some(next) => next,
            None => &mut self.arrivals,
        };
        if next.is_multiple_of(1 << CHUNK_BITS) {
            *next = self.chunks << CHUNK_BITS;
            self.chunks += 1;
        }
        let slot = *next;
        *next += 1;
        self.taken += 1;
        slot
    }

    /// Bytes held on the heap.
    pub(crate) const fn bytes(&self) -> usize {
        self.by_beginning.capacity() * size_of::<u32>()
    }
}

/// Items by slot.
#[derive(Debug, Clone)]
pub(crate) struct Arena<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    /// Fills a slot that was just handed out.
    pub(crate) fn put(&mut self, slot: u32, item: T) {
        let (at, within) = place(slot);
        if at == self.chunks.len() {
            grow(&mut self.chunks);
            let room = if at == 0 { FEWEST } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        let chunk = &mut self.chunks[at];
        debug_assert_eq!(chunk.len(), within, "slots of a chunk are handed out in order");
        chunk.push(item);
    }

    /// Bytes held on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let items: usize = self.chunks.iter().map(Vec::capacity).sum();
        items * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> std::ops::Index<u32> for Arena<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        let (at, within) = place(slot);
        &self.chunks[at][within]
    }
}

impl<T> std::ops::IndexMut<u32> for Arena<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        let (at, within) = place(slot);
        &mut self.chunks[at][within]
    }
}

/// Makes room for one more item, and for a sixteenth of those there are: less waste than doubling. Large blocks grow
/// in place or by moving pages, not bytes.
pub(crate) fn grow<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() {
        items.reserve_exact((items.len() / 16).max(4));
    }
}

/// Chunk of a slot and the place in it.
const fn place(slot: u32) -> (usize, usize) {
    ((slot >> CHUNK_BITS) as usize, slot as usize % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(first: u8) -> Path {
        let mut path = [0; 32];
        path[0] = first;
        path
    }

    #[test]
    fn items_are_found_in_their_slots() {
        let (mut slots, mut arena) = (Slots::new(), Arena::new());
        let mut expected = Vec::new();
        for item in 0..2 * ARRIVALS {
            let slot = slots.take(&path(u8::try_from(item * 7 % 251).expect("small")));
            arena.put(slot, item);
            expected.push((slot, item));
        }
        assert_eq!(expected[0].0, 0);
        assert_eq!(slots.taken(), 2 * ARRIVALS);
        assert!(expected.iter().all(|&(slot, item)| (slot as usize) < slots.end() && arena[slot] == item));
    }

    #[test]
    fn chunks_of_a_large_trie_belong_to_paths_that_begin_alike() {
        let mut slots = Slots::new();
        let mut owner = std::collections::BTreeMap::new();
        for item in 0..2 * ARRIVALS {
            let first = u8::try_from(item * 7 % 251).expect("small");
            let (chunk, _) = place(slots.take(&path(first)));
            if item >= ARRIVALS {
                assert_eq!(*owner.entry(chunk).or_insert(first >> 3), first >> 3);
            }
        }
        assert!(owner.len() >= 32);
    }

    #[test]
    fn waste_stays_small_as_the_arena_grows() {
        let (mut slots, mut arena) = (Slots::new(), Arena::new());
        for item in 1..=4 * ARRIVALS {
            let slot = slots.take(&path(u8::try_from(item * 7 % 251).expect("small")));
            arena.put(slot, [0_u64; 9]);
            if item.is_power_of_two() && item >= 4096 {
                let least = item * size_of::<[u64; 9]>();
                assert!(arena.bytes() * 100 <= least * 103, "{} bytes for {item} items", arena.bytes());
            }
        }
    }
}
