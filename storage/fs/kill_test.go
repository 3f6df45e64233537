package fs

const childDir = "HEADWATER_STORAGE_TEST_CHILD"

func child(string) int { return 0 }
