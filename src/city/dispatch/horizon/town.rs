//! One moment of a town, as numbers: who could bring what, and how far everything is. Whole seconds on one clock.

/// Where something is, for whoever knows the distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// Where a hand is (or will be free).
    Hand(usize),
    /// A merchant's counter.
    Counter(usize),
    /// The door of a wish.
    Door(usize),
}

/// A courier, from the moment of being free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hand {
    /// Not before this, and from [`Spot::Hand`].
    pub free_s: i64,
    /// No pickup after this.
    pub off_s: i64,
    /// Units that fit at once.
    pub room: u32,
    /// How they travel: an index that the distances know.
    pub class: usize,
    /// Sent to this counter already (or standing there) with wishes that are theirs for good, nothing picked up yet: `free_s` is the arrival.
    pub sent_to: Option<usize>,
    /// Orders until their guarantee is earned: pay for these costs nothing more.
    pub owed: u32,
}

/// An order that nobody has picked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pub counter: usize,
    pub ready_s: i64,
    /// At the door by then, or it is late.
    pub due_s: i64,
    pub size: u32,
    /// Who has it for good.
    pub owner: Option<usize>,
}

/// What handing over takes; half of it before the moment that counts, half after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    pub pickup_s: i64,
    pub dropoff_s: i64,
}

/// The moment.
#[derive(Clone, Debug)]
pub struct Town {
    pub now_s: i64,
    /// Until the next decision.
    pub round_s: i64,
    /// Couriers are asked this much before they would have to leave.
    pub ahead_s: i64,
    pub service: Service,
    pub hands: Vec<Hand>,
    pub wishes: Vec<Wish>,
    /// `barred[wish]`: hands who must not be asked for it, sorted.
    pub barred: Vec<Vec<usize>>,
    pub ways: Ways,
}

impl Town {
    /// Whether this hand may be asked for this wish at all.
    #[must_use]
    pub fn may(&self, hand: usize, wish: usize) -> bool {
        self.barred[wish].binary_search(&hand).is_err()
    }
}

/// The distances that a plan needs, computed once: to counters, and between doors of one counter.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    counters: usize,
    wishes: usize,
    from_hands: Vec<u32>,
    /// By class, door, counter.
    from_doors: Vec<u32>,
    /// By class and wish: its counter to its door.
    own: Vec<u32>,
    /// By class: from a door to another door of the same counter.
    between: Vec<u32>,
    /// The wish's place among those of its counter, and where its counter's block begins.
    place: Vec<(usize, usize, usize)>,
    block_len: usize,
}

impl Ways {
    /// Asks `seconds(class, from, to)` for every way that a plan may need.
    #[must_use]
    pub fn new(hands: &[Hand], wishes: &[Wish], counters: usize, seconds: impl Fn(usize, Spot, Spot) -> i64) -> Self {
        let ask = |class, from, to| u32::try_from(seconds(class, from, to).max(0)).unwrap_or(u32::MAX / 4);
        let classes = hands.iter().map(|hand| hand.class + 1).max().unwrap_or(0);
        let mut of_counter = vec![Vec::new(); counters];
        for (wish, known) in wishes.iter().enumerate() {
            of_counter[known.counter].push(wish);
        }
        let mut place = vec![(0, 0, 0); wishes.len()];
        let mut block_len = 0;
        for block in &of_counter {
            for (rank, wish) in block.iter().enumerate() {
                place[*wish] = (rank, block_len, block.len());
            }
            block_len += block.len() * block.len();
        }
        let mut ways = Self { counters, wishes: wishes.len(), place, block_len, ..Self::default() };
        for (hand, known) in hands.iter().enumerate() {
            ways.from_hands.extend((0..counters).map(|counter| ask(known.class, Spot::Hand(hand), Spot::Counter(counter))));
        }
        for class in 0..classes {
            for (wish, known) in wishes.iter().enumerate() {
                ways.from_doors.extend((0..counters).map(|counter| ask(class, Spot::Door(wish), Spot::Counter(counter))));
                ways.own.push(ask(class, Spot::Counter(known.counter), Spot::Door(wish)));
            }
            for block in &of_counter {
                for from in block {
                    ways.between.extend(block.iter().map(|to| ask(class, Spot::Door(*from), Spot::Door(*to))));
                }
            }
        }
        ways
    }

    /// From where a hand is free to a counter.
    #[must_use]
    pub fn from_hand(&self, hand: usize, counter: usize) -> i64 {
        i64::from(self.from_hands[hand * self.counters + counter])
    }

    /// From a door to a counter.
    #[must_use]
    pub fn from_door(&self, class: usize, wish: usize, counter: usize) -> i64 {
        i64::from(self.from_doors[(class * self.wishes + wish) * self.counters + counter])
    }

    /// From a wish's counter to its door.
    #[must_use]
    pub fn own(&self, class: usize, wish: usize) -> i64 {
        i64::from(self.own[class * self.wishes + wish])
    }

    /// Between two doors of the same counter.
    #[must_use]
    pub fn between(&self, class: usize, from: usize, to: usize) -> i64 {
        let ((row, begin, width), (column, _, _)) = (self.place[from], self.place[to]);
        i64::from(self.between[class * self.block_len + begin + row * width + column])
    }
}
