"""The pages for the people who run the host: jobs, arrivals, health."""
