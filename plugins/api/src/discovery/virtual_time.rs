//! [`OnVirtualTime`]: a guest's time goes by without a clock, for the tests of guests.

use super::host::Instance;

/// A world of a test that has a guest, and tells it what happens.
pub trait OnVirtualTime {
    /// The guest, and the time there in microseconds.
    fn guest_and_time(&mut self) -> (&mut Instance, &mut u64);

    /// Tells the guest [`Fact::Deadline`](super::Fact::Deadline), now.
    fn tell_deadline(&mut self);

    /// Lets time pass until `until_us`, and tells the guest of each of its deadlines.
    ///
    /// # Panics
    /// If a deadline lies in the past, or is still there after the guest was told of it: such a
    /// guest makes its host spin.
    fn pass_until(&mut self, until_us: u64) {
        loop {
            let (guest, now_us) = self.guest_and_time();
            let Some(due_us) = guest.deadline().filter(|due_us| *due_us <= until_us) else {
                *now_us = until_us;
                return;
            };
            assert!(due_us >= *now_us, "deadlines move forward");
            *now_us = due_us;
            self.tell_deadline();
            let next_us = self.guest_and_time().0.deadline();
            assert!(next_us.is_none_or(|next_us| next_us > due_us), "a deadline is dealt with");
        }
    }
}
