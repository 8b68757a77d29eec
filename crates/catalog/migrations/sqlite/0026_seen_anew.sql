-- Of kinds that are decoded by now: sent again, they are inspected again, and are not answered with what could not be shown.
UPDATE blobs SET sha256 = NULL
 WHERE state = 'live' AND reason_code = 'unsupported_media_type'
   AND mime IN ('video/mp4', 'video/quicktime', 'video/3gpp', 'image/gif', 'image/tiff', 'image/x-adobe-dng');
