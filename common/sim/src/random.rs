//! The one source of chance. The same seed gives the same draws on every machine and in every
//! version, so that a seed names a run.

/// A generator of pseudo-random numbers: `SplitMix64`, whose whole state is one number.
///
/// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of this seed.
    pub const fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, each about as likely; 0 where the bound is.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The upper half of a product: free of division, and even enough for small bounds.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// An index below `length`; 0 where the length is.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number from `from` to `to`, both in.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: Probability) -> bool {
        self.below(Probability::CERTAIN.0.into()) < probability.0.into()
    }

    /// One of these, where there is any.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }

    /// A generator that goes its own way from here on.
    pub fn fork(&mut self) -> Random {
        Random::new(self.bits())
    }
}

/// How likely something is, in parts of 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probability(pub u32);

impl Probability {
    /// Never.
    pub const NEVER: Probability = Probability(0);
    /// Always.
    pub const CERTAIN: Probability = Probability(10_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_draws_it_always_gave() {
        let mut random = Random::new(1_234_567);
        // The first values of the reference implementation for this seed.
        let drawn: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut random = Random::new(7);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.between(3, 5)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&3), Some(&5)));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
    }

    #[test]
    fn a_chance_comes_about_as_often_as_it_says() {
        let mut random = Random::new(7);
        let mut hits = |probability| (0..10_000).filter(|_| random.chance(probability)).count();
        assert_eq!(hits(Probability::NEVER), 0);
        assert_eq!(hits(Probability::CERTAIN), 10_000);
        assert!((2_700..3_300).contains(&hits(Probability(3_000))));
    }
}
