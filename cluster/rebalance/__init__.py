"""Plans that change where data lies, and the operations that carry them out."""
