"""What the platform needs beside Python: Java, jars and, for tests and the latency benchmark, Chromium."""
