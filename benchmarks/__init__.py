"""Speed, accuracy and memory against references in the same run; never timed tests. See CONTRIBUTING.md."""
