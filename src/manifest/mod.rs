//! The JSON that the verbs pass on: the only room that knows it.
