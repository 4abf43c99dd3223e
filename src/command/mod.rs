//! The verbs: one file each, its arguments and its run.
