"""One child process, kept in: started, heard, confined, ended, and its failure put into words."""
