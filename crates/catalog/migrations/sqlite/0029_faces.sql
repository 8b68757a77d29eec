-- How many faces look out of a picture; NULL where they were not looked for.
ALTER TABLE blobs ADD COLUMN faces INTEGER;
