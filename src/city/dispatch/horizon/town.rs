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
    /// Earned by the hour today, in thousandths of twice the mean of all; the mean where nobody knows.
    pub pay_permille: u32,
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
    pub rest: Rest,
}

/// How far it is to where orders come from ([`super::demand::mean_way_s`]); without it all places are alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// From where each hand is free.
    pub hands: Vec<i64>,
    /// From the door of each wish.
    pub doors: Vec<i64>,
}

impl Rest {
    /// Seconds that a hand is farther from the next order at a door than where it is free first.
    #[must_use]
    pub fn farther_s(&self, hand: usize, door: usize) -> i64 {
        match (self.hands.get(hand), self.doors.get(door)) {
            (Some(before), Some(after)) => after - before,
            (Some(_), None) | (None, _) => 0,
        }
    }
}

impl Town {
    /// Whether this hand may be asked for this wish at all.
    #[must_use]
    pub fn may(&self, hand: usize, wish: usize) -> bool {
        self.barred[wish].binary_search(&hand).is_err()
    }
}

/// Who comes into question for which counter as their next one.
///
/// In a town everybody does for everything. In a city of a hundred thousand couriers and hundreds of counters that would be millions of ways, of which a
/// plan uses the shortest few: there only who is near.
#[derive(Clone, Copy, Debug)]
pub enum Reach<'r> {
    All,
    /// By counter: hands, each once.
    Near(&'r [Vec<usize>]),
}

/// The distances that a plan needs, asked for once: from hands to counters within [`Reach`], from doors to counters where something waits for a courier, and
/// between doors of one counter.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    counters: usize,
    /// Nobody goes from a door to a counter of this number or above: all that is there is theirs who stand there.
    goals: usize,
    wishes: usize,
    /// Where each hand's row begins in `to_counters`.
    rows: Vec<usize>,
    /// By hand, then by counter: the counter and how far it is.
    to_counters: Vec<(u32, u32)>,
    /// By counter: hands who know the way.
    near: Vec<Vec<usize>>,
    /// By class, door, counter below `goals`. Of a wish that is somebody's the row of their class alone.
    from_doors: Vec<u32>,
    /// By class and wish: its counter to its door.
    own: Vec<u32>,
    /// By class: from a door to another door of the same counter.
    between: Vec<u32>,
    /// The wish's place among those of its counter, and where its counter's block begins.
    place: Vec<(usize, usize, usize)>,
    block_len: usize,
}

/// Cells of one table; beyond that several are asked for, each of what is close together.
const TABLE_MAX: usize = 40_000;

impl Ways {
    /// Asks `table(class, from, to)` for the seconds of every way that a plan may need, row by row: one question for each class of hands while the
    /// town is small.
    ///
    /// # Panics
    /// If a table has another shape than what was asked for.
    #[must_use]
    pub fn new(
        hands: &[Hand],
        wishes: &[Wish],
        counters: usize,
        reach: Reach<'_>,
        mut table: impl FnMut(usize, &[Spot], &[Spot]) -> Vec<Vec<u32>>,
    ) -> Self {
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
        let near = match reach {
            Reach::All => vec![(0..hands.len()).collect(); counters],
            Reach::Near(near) => near.to_vec(),
        };
        let goals = wishes.iter().filter(|wish| wish.owner.is_none()).map(|wish| wish.counter + 1).max().unwrap_or(0);
        let doors = Vec::with_capacity(classes * wishes.len() * goals);
        let mut asked = Asked { goals, doors, own: Vec::new(), between: Vec::new(), hands: vec![Vec::new(); hands.len()] };
        for class in 0..classes {
            let near: Vec<Vec<usize>> =
                near.iter().map(|hands_near| hands_near.iter().copied().filter(|hand| hands[*hand].class == class).collect()).collect();
            let leaves = |wish: &Wish| wish.owner.is_none_or(|owner| hands[owner].class == class);
            let left: Vec<usize> = (0..wishes.len()).filter(|wish| leaves(&wishes[*wish])).collect();
            asked.class(&near, &of_counter, &left, |from, to| table(class, from, to));
        }
        let Asked { doors, own, between, hands: rows_of, .. } = asked;
        let mut rows = Vec::with_capacity(hands.len() + 1);
        let mut to_counters = Vec::new();
        for mut row in rows_of {
            rows.push(to_counters.len());
            row.sort_unstable();
            to_counters.extend(row);
        }
        rows.push(to_counters.len());
        Self { counters, goals, wishes: wishes.len(), rows, to_counters, near, from_doors: doors, own, between, place, block_len }
    }

    /// From where a hand is free to a counter; `None` beyond [`Reach`].
    #[must_use]
    pub fn from_hand(&self, hand: usize, counter: usize) -> Option<i64> {
        let row = &self.to_counters[self.rows[hand]..self.rows[hand + 1]];
        let at =
            if row.len() == self.counters { counter } else { row.binary_search_by_key(&(counter as u32), |(known, _)| *known).ok()? };
        row.get(at).map(|(_, seconds)| i64::from(*seconds))
    }

    /// Hands for whom a counter is within [`Reach`].
    #[must_use]
    pub fn near(&self, counter: usize) -> &[usize] {
        self.near.get(counter).map_or(&[], Vec::as_slice)
    }

    /// From a door to a counter; `None` where nothing waits for a courier.
    #[must_use]
    pub fn from_door(&self, class: usize, wish: usize, counter: usize) -> Option<i64> {
        (counter < self.goals).then(|| i64::from(self.from_doors[(class * self.wishes + wish) * self.goals + counter]))
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

/// Answers as they come in.
struct Asked {
    goals: usize,
    doors: Vec<u32>,
    own: Vec<u32>,
    between: Vec<u32>,
    /// By hand: counters and seconds.
    hands: Vec<Vec<(u32, u32)>>,
}

impl Asked {
    /// All ways of one class: `near` by counter its hands, `of_counter` by counter its wishes, `left` the wishes from whose doors one of the class may go on.
    fn class(
        &mut self,
        near: &[Vec<usize>],
        of_counter: &[Vec<usize>],
        left: &[usize],
        mut table: impl FnMut(&[Spot], &[Spot]) -> Vec<Vec<u32>>,
    ) {
        let counters: Vec<Spot> = (0..near.len()).map(Spot::Counter).collect();
        let wishes: usize = of_counter.iter().map(Vec::len).sum();
        let doors: Vec<Spot> = (0..wishes).map(Spot::Door).collect();
        let mut hands: Vec<usize> = near.iter().flatten().copied().collect();
        hands.sort_unstable();
        hands.dedup();
        let whole = (hands.len() + counters.len() + wishes) * (counters.len() + wishes) <= TABLE_MAX;
        let known = whole.then(|| {
            let from: Vec<Spot> =
                hands.iter().copied().map(Spot::Hand).chain(counters.iter().copied()).chain(doors.iter().copied()).collect();
            let to: Vec<Spot> = counters.iter().copied().chain(doors.iter().copied()).collect();
            table(&from, &to)
        });
        let (door_row, door_column) = (hands.len() + counters.len(), counters.len());
        for (counter, near) in near.iter().enumerate() {
            let far: Vec<u32> = match &known {
                Some(known) => near.iter().map(|hand| known[hands.partition_point(|other| other < hand)][counter]).collect(),
                None => {
                    let from: Vec<Spot> = near.iter().copied().map(Spot::Hand).collect();
                    table(&from, &[Spot::Counter(counter)]).into_iter().flatten().collect()
                }
            };
            assert_eq!(far.len(), near.len(), "a table has a row for each point that was asked about");
            for (hand, seconds) in near.iter().zip(far) {
                self.hands[*hand].push((counter as u32, seconds));
            }
        }
        match &known {
            Some(known) => self.doors.extend(known[door_row..].iter().flat_map(|row| row[..self.goals].iter())),
            None => {
                let begin = self.doors.len();
                self.doors.resize(begin + wishes * self.goals, 0);
                let from: Vec<Spot> = left.iter().copied().map(Spot::Door).collect();
                for (wish, row) in left.iter().zip(table(&from, &counters[..self.goals])) {
                    self.doors[begin + wish * self.goals..][..self.goals].copy_from_slice(&row);
                }
            }
        }
        let begin = self.own.len();
        self.own.resize(begin + wishes, 0);
        for (counter, block) in of_counter.iter().enumerate() {
            let here: Vec<Spot> = block.iter().copied().map(Spot::Door).collect();
            let rows: Vec<Vec<u32>> = match &known {
                Some(known) => {
                    let row = |row: usize| block.iter().map(|wish| known[row][door_column + wish]).collect();
                    std::iter::once(hands.len() + counter).chain(block.iter().map(|wish| door_row + wish)).map(row).collect()
                }
                None => {
                    let from: Vec<Spot> = std::iter::once(Spot::Counter(counter)).chain(here.iter().copied()).collect();
                    table(&from, &here)
                }
            };
            let (own, between) = rows.split_first().expect("the counter itself has a row");
            for (wish, seconds) in block.iter().zip(own) {
                self.own[begin + wish] = *seconds;
            }
            self.between.extend(between.iter().flatten());
        }
    }
}
