"""What leaves the lab as a file, and what other tools' files say: CSV, JUnit, HTML, bundle, and foreign results."""
