"""The files below are examples for rules of `pv lint`, good and bad; they are not tests of this project."""

collect_ignore_glob = ["*"]
