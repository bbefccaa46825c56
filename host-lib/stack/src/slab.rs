//! Numbered slots with generations, so that an id that outlived its entry is noticed and never mistaken.

use crate::pages::Pages;

/// A number and a generation: names one entry of one [`Slab`], once.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Key {
    /// Names no entry.
    pub(crate) const NOBODYS: Key = Key {
        index: u32::MAX,
        generation: 0,
    };
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// A growable table of `T` with stable keys.
pub(crate) struct Slab<T> {
    slots: Pages<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab {
            slots: Pages::new(),
            free: Vec::new(),
        }
    }

    /// True if no entry is in use.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.value = Some(value);
                return Key {
                    index,
                    generation: slot.generation,
                };
            }
        }
        let slot = Slot {
            generation: 0,
            value: Some(value),
        };
        Key {
            index: self.slots.push(slot),
            generation: 0,
        }
    }

    /// The key of the entry at `index`.
    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        let slot = self.slots.get(index).filter(|s| s.value.is_some())?;
        Some(Key {
            index,
            generation: slot.generation,
        })
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index)?;
        (slot.generation == key.generation)
            .then_some(slot.value.as_ref())
            .flatten()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index)?;
        (slot.generation == key.generation)
            .then_some(slot.value.as_mut())
            .flatten()
    }

    /// The entry at `index`.
    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index)?.value.as_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing_even_after_reuse() {
        let mut slab = Slab::new();
        let a = slab.insert("a");
        assert_eq!(slab.remove(a), Some("a"));
        let b = slab.insert("b");
        assert_eq!(a.index, b.index);
        assert_eq!(
            (slab.get(a), slab.get(b), slab.len()),
            (None, Some(&"b"), 1)
        );
        assert_eq!(slab.remove(a), None);
        assert_eq!((slab.key_at(b.index), slab.key_at(9)), (Some(b), None));
        assert_eq!(
            slab.get_mut(Key {
                index: 9,
                generation: 0
            }),
            None
        );
    }
}
