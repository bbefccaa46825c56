//! A growable array in pages: growing moves nothing and leaves at most one page unused.

use core::ops::{Index, IndexMut};

/// Entries of a page, as a power of two.
const PAGE_BITS: usize = 8;
const PAGE: usize = 1 << PAGE_BITS;

/// An array that only grows.
pub(crate) struct Pages<T> {
    pages: Vec<Vec<T>>,
}

impl<T> Pages<T> {
    pub(crate) fn new() -> Pages<T> {
        Pages { pages: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        match self.pages.split_last() {
            Some((last, full)) => full.len() * PAGE + last.len(),
            None => 0,
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        self.pages.get(index >> PAGE_BITS)?.get(index % PAGE)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let index = index as usize;
        self.pages
            .get_mut(index >> PAGE_BITS)?
            .get_mut(index % PAGE)
    }

    /// Appends; returns the index.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let index = self.len();
        if index.is_multiple_of(PAGE) {
            // The first page grows as it is filled: many arrays stay small.
            let room = if index == 0 { 0 } else { PAGE };
            self.pages.push(Vec::with_capacity(room));
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(value);
        }
        index as u32
    }
}

impl<T> Index<u32> for Pages<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        let index = index as usize;
        &self.pages[index >> PAGE_BITS][index % PAGE]
    }
}

impl<T> IndexMut<u32> for Pages<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        let index = index as usize;
        &mut self.pages[index >> PAGE_BITS][index % PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_entry_at_its_index() {
        let mut pages = Pages::new();
        for i in 0..1000u32 {
            assert_eq!(pages.push(i * 3), i);
        }
        assert_eq!(pages.len(), 1000);
        for i in 0..1000 {
            assert_eq!(pages.get(i), Some(&(i * 3)));
        }
        *pages.get_mut(512).expect("there") = 7;
        assert_eq!(pages.get(512), Some(&7));
        assert_eq!((pages.get(1000), pages.get(u32::MAX)), (None, None));
    }
}
