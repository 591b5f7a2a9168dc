//! Memory that outputs are written to.

/// The most planes that a layer's outputs lie in: those with more have their channels side by side.
const MOST: usize = 4;

/// A stretch of memory, or the same stretch of every plane of an image whose channels lie in planes.
pub(in super::super) struct Planes<'a> {
    planes: [&'a mut [f32]; MOST],
    count: usize,
    /// The place in every plane that the stretch begins at.
    from: usize,
}

impl<'a> Planes<'a> {
    /// Memory as `count` planes, each `len` numbers behind the one before.
    pub(in super::super) fn of(memory: &'a mut [f32], count: usize, len: usize) -> Self {
        debug_assert!(count <= MOST);
        let (mut planes, mut rest) = (none(), memory);
        for plane in &mut planes[..count - 1] {
            (*plane, rest) = rest.split_at_mut(len);
        }
        planes[count - 1] = rest;
        Self { planes, count, from: 0 }
    }

    /// What lies before a place of every plane, counted from the plane's beginning, and what lies from there on.
    pub(in super::super) fn split_at(self, place: usize) -> [Self; 2] {
        let (mut before, mut after) = (none(), none());
        for (p, plane) in self.planes.into_iter().enumerate().take(self.count) {
            (before[p], after[p]) = plane.split_at_mut((place - self.from).min(plane.len()));
        }
        let Self { count, from, .. } = self;
        [Self { planes: before, count, from }, Self { planes: after, count, from: place }]
    }

    /// The same memory for a shorter time.
    pub(in super::super) fn reborrow(&mut self) -> Planes<'_> {
        let mut planes = none();
        for (to, from) in planes.iter_mut().zip(&mut self.planes[..self.count]) {
            *to = from;
        }
        Planes { planes, count: self.count, from: self.from }
    }

    /// A plane of the stretch from a place on, which is counted from the plane's beginning.
    #[inline(always)]
    pub(super) fn at(&mut self, plane: usize, place: usize) -> &mut [f32] {
        &mut self.planes[plane][place - self.from..]
    }

    /// All of the first plane of the stretch.
    pub(in super::super) fn first(&mut self) -> &mut [f32] {
        self.planes[0]
    }
}

fn none<'a>() -> [&'a mut [f32]; MOST] {
    std::array::from_fn(|_| &mut [][..])
}
